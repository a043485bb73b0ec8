//! Inputs of a group: time, messages, proposals, membership changes, reads, reports.
use raft::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, Entry,
    Message, MessageType,
};
use raft::{SnapshotStatus, StateRole};
use std::ffi::c_int;
use std::slice;

use crate::abi::*;
use crate::codec;
use crate::group::{rc, with, Group};
use crate::ready::Scratch;

#[no_mangle]
pub unsafe extern "C" fn rg_tick(g: *mut Group) -> c_int {
    with(g, true, |g| {
        if g.snap_pending != 0 {
            return 0; // an election now would read (applied, committed], which the storage no longer has: panic
        }
        g.pin();
        let r = g.rn.tick();
        if r && g.seed != 0 && g.rn.raft.state != StateRole::Leader {
            g.seen = (g.rn.raft.term, g.rn.raft.state); // campaigned: new timeout even if term and role stay
            g.roll();
        }
        r as c_int
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_step(g: *mut Group, p: *const u8, n: usize) -> c_int {
    with(g, true, |g| match codec::decode(bytes(p, n)) {
        Some(m) if m.to != g.rn.raft.id => EINVAL,
        Some(m) => match m.get_msg_type() {
            MessageType::MsgTimeoutNow if g.snap_pending != 0 => DROPPED,
            // A follower's way to propose, which has no way back; without entries a leader panics on it.
            MessageType::MsgPropose => DROPPED,
            MessageType::MsgReadIndex if m.entries.is_empty() => EINVAL, // likewise: it looks at the first one
            _ => rc(g.rn.step(m)),
        },
        None => DECODE,
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_campaign(g: *mut Group) -> c_int {
    with(g, true, |g| {
        if g.snap_pending != 0 {
            BUSY
        } else {
            rc(g.rn.campaign())
        }
    })
}
/// All entries in one MsgPropose: one append and one message per follower. Use this, not Config::batch_append.
#[no_mangle]
pub unsafe extern "C" fn rg_propose_batch(g: *mut Group, v: *const Slice, n: usize) -> c_int {
    with(g, true, |g| {
        if g.rn.raft.state != StateRole::Leader {
            return NOT_LEADER; // 0.7.0 would forward it to the leader, with no way to learn its fate
        }
        if n == 0 {
            return EINVAL; // the engine panics on an empty proposal
        }
        let mut m = Message::default();
        m.set_msg_type(MessageType::MsgPropose);
        m.from = g.rn.raft.id;
        let es: Vec<Entry> = slice::from_raw_parts(v, n)
            .iter()
            .map(|s| {
                let mut e = Entry::default();
                e.data = bytes(s.ptr, s.len).to_vec().into();
                e
            })
            .collect();
        m.set_entries(es.into());
        rc(g.rn.raft.step(m))
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_propose_conf_change(
    g: *mut Group,
    ch: *const CChange,
    n: usize,
    transition: c_int,
    ctx: *const u8,
    ctx_len: usize,
) -> c_int {
    with(g, true, |g| {
        if g.rn.raft.state != StateRole::Leader {
            return NOT_LEADER;
        }
        let ch = if n == 0 {
            &[][..]
        } else {
            slice::from_raw_parts(ch, n)
        };
        let ctype = |t| match t {
            1 => ConfChangeType::RemoveNode,
            2 => ConfChangeType::AddLearnerNode,
            _ => ConfChangeType::AddNode,
        };
        let ctx = bytes(ctx, ctx_len).to_vec();
        if transition < 0 {
            if n != 1 {
                return EINVAL;
            }
            let mut c = ConfChange::default();
            c.set_change_type(ctype(ch[0].ctype));
            c.node_id = ch[0].id;
            c.context = ctx.into();
            return rc(g.rn.propose_conf_change(vec![], c));
        }
        let mut c = ConfChangeV2::default();
        c.set_transition(match transition {
            1 => ConfChangeTransition::Implicit,
            2 => ConfChangeTransition::Explicit,
            _ => ConfChangeTransition::Auto,
        });
        let v: Vec<ConfChangeSingle> = ch
            .iter()
            .map(|x| {
                let mut s = ConfChangeSingle::default();
                s.set_change_type(ctype(x.ctype));
                s.node_id = x.id;
                s
            })
            .collect();
        c.set_changes(v.into());
        c.context = ctx.into();
        rc(g.rn.propose_conf_change(vec![], c))
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_apply_conf_change(
    g: *mut Group,
    etype: u32,
    p: *const u8,
    n: usize,
    s: *mut Scratch,
    out: *mut CConfState,
) -> c_int {
    with(g, true, |g| {
        let b = bytes(p, n);
        let r = if etype == 1 {
            match codec::conf_change_v1(b) {
                Some(c) => g.rn.apply_conf_change(&c),
                None => return DECODE,
            }
        } else {
            match codec::conf_change_v2(b) {
                Some(c) => g.rn.apply_conf_change(&c),
                None => return DECODE,
            }
        };
        match r {
            Ok(cs) => {
                // 0.7.0 leaves a removed (or demoted) leader in office and then panics on its own missing progress
                let (id, r) = (g.rn.raft.id, &mut g.rn.raft);
                if r.state == StateRole::Leader
                    && !cs.voters.contains(&id)
                    && !cs.voters_outgoing.contains(&id)
                {
                    r.become_follower(r.term, raft::INVALID_ID);
                }
                (*s).conf = cs;
                *out = conf_view(&(*s).conf);
                OK
            }
            Err(_) => ERR,
        }
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_transfer_leader(g: *mut Group, to: u64) -> c_int {
    with(g, true, |g| {
        g.rn.transfer_leader(to);
        OK
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_read_index(g: *mut Group, p: *const u8, n: usize) -> c_int {
    with(g, true, |g| {
        g.rn.read_index(bytes(p, n).to_vec());
        OK
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_report_unreachable(g: *mut Group, id: u64) -> c_int {
    with(g, true, |g| {
        g.rn.report_unreachable(id);
        OK
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_report_snapshot(g: *mut Group, id: u64, ok: c_int) -> c_int {
    with(g, true, |g| {
        g.rn.report_snapshot(
            id,
            if ok != 0 {
                SnapshotStatus::Finish
            } else {
                SnapshotStatus::Failure
            },
        );
        OK
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_request_snapshot(g: *mut Group) -> c_int {
    with(g, true, |g| rc(g.rn.request_snapshot()))
}
#[no_mangle]
pub unsafe extern "C" fn rg_free_idle_memory(g: *mut Group) -> c_int {
    with(g, false, |g| {
        g.rn.raft.maybe_free_inflight_buffers();
        OK
    })
}
