//! Outputs of a group: what to write, send, apply and answer, as views into a scratch that the caller owns.
use raft::eraftpb::{ConfState, Entry, Message, Snapshot};
use raft::ReadState;
use std::ffi::c_int;
use std::ptr;

use crate::abi::*;
use crate::codec;
use crate::group::{caught, with, Group};

/// Owns what the views of a CReady point into.
#[derive(Default)]
pub struct Scratch {
    pub entries: Vec<Entry>,
    pub committed: Vec<Entry>,
    pub reads: Vec<ReadState>,
    pub snapshot: Snapshot,
    pub conf: ConfState,
    pub arena: Vec<u8>,
    pub c_entries: Vec<CEntry>,
    pub c_committed: Vec<CEntry>,
    pub c_messages: Vec<CMessage>,
    pub c_reads: Vec<CReadState>,
}
#[no_mangle]
pub extern "C" fn rg_scratch_new() -> *mut Scratch {
    caught(ptr::null_mut(), || Box::into_raw(Box::default()))
}
#[no_mangle]
pub unsafe extern "C" fn rg_scratch_free(s: *mut Scratch) {
    if !s.is_null() {
        caught((), || drop(Box::from_raw(s)))
    }
}
#[no_mangle]
pub unsafe extern "C" fn rg_has_ready(g: *const Group) -> c_int {
    with(g as *mut Group, true, |g| g.rn.has_ready() as c_int)
}

impl Scratch {
    fn committed(&mut self, v: Vec<Entry>) {
        self.committed = v;
        self.c_committed.clear();
        self.c_committed
            .extend(self.committed.iter().map(entry_view));
    }
    fn messages(&mut self, v: &[Message]) -> bool {
        self.arena.clear();
        self.arena.shrink_to(4 << 20);
        self.c_messages.clear();
        for m in v {
            let from = self.arena.len();
            if !codec::encode(m, &mut self.arena) {
                return false;
            }
            let len = self.arena.len() - from;
            self.c_messages.push(CMessage {
                to: m.to,
                mtype: m.get_msg_type() as u32,
                bytes: Slice {
                    ptr: from as *const u8,
                    len,
                },
            });
        }
        let base = self.arena.as_ptr(); // the arena no longer moves: offsets become pointers
        for m in &mut self.c_messages {
            m.bytes.ptr = unsafe { base.add(m.bytes.ptr as usize) };
        }
        true
    }
}

#[no_mangle]
pub unsafe extern "C" fn rg_ready(g: *mut Group, s: *mut Scratch, out: *mut CReady) -> c_int {
    with(g, true, |g| {
        let s = &mut *s;
        let mut rd = g.rn.ready();
        s.entries = rd.take_entries();
        s.c_entries.clear();
        s.c_entries.extend(s.entries.iter().map(entry_view));
        s.committed(rd.take_committed_entries());
        s.reads = rd.take_read_states();
        s.c_reads.clear();
        s.c_reads.extend(s.reads.iter().map(|r| CReadState {
            index: r.index,
            context: view(&r.request_ctx),
        }));
        let now = !rd.messages().is_empty();
        let msgs = if now {
            rd.take_messages()
        } else {
            rd.take_persisted_messages()
        };
        if !s.messages(&msgs) {
            return ERR;
        }
        s.snapshot = rd.snapshot().clone();
        if !g.no_guard {
            g.snap_pending = g.snap_pending.max(s.snapshot.get_metadata().index);
        }
        let m = (s.c_messages.as_ptr(), s.c_messages.len());
        let none: (*const CMessage, usize) = (ptr::null(), 0);
        let (im, pm) = if now { (m, none) } else { (none, m) };
        let hs = rd.hs();
        let soft = rd.ss();
        let meta = s.snapshot.get_metadata();
        ptr::write(
            out,
            CReady {
                number: rd.number(),
                entries: s.c_entries.as_ptr(),
                n_entries: s.c_entries.len(),
                committed: s.c_committed.as_ptr(),
                n_committed: s.c_committed.len(),
                messages: im.0,
                n_messages: im.1,
                persisted: pm.0,
                n_persisted: pm.1,
                reads: s.c_reads.as_ptr(),
                n_reads: s.c_reads.len(),
                hs: hs.map_or(CHardState::default(), |h| CHardState {
                    term: h.term,
                    vote: h.vote,
                    commit: h.commit,
                }),
                snapshot: CSnapshot {
                    index: meta.index,
                    term: meta.term,
                    conf: conf_view(meta.get_conf_state()),
                    data: view(&s.snapshot.data),
                },
                leader: soft.map_or(0, |x| x.leader_id),
                role: soft.map_or(0, |x| x.raft_state as u32),
                has_hs: hs.is_some() as u8,
                has_snapshot: (meta.index != 0) as u8,
                has_soft: soft.is_some() as u8,
                must_sync: rd.must_sync() as u8,
            },
        );
        g.rd = Some(rd);
        OK
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_advance_append_async(g: *mut Group) -> c_int {
    with(g, false, |g| {
        let Some(rd) = g.rd.take() else { return EINVAL };
        g.rn.advance_append_async(rd);
        OK
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_on_persist_ready(g: *mut Group, number: u64) -> c_int {
    with(g, true, |g| {
        g.rn.on_persist_ready(number);
        OK
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_advance_apply_to(g: *mut Group, applied: u64) -> c_int {
    with(g, true, |g| {
        g.rn.advance_apply_to(applied);
        if applied >= g.snap_pending {
            g.snap_pending = 0;
        }
        OK
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_status(g: *const Group, out: *mut CStatus) -> c_int {
    with(g as *mut Group, false, |g| {
        let r = &g.rn.raft;
        ptr::write(
            out,
            CStatus {
                term: r.term,
                vote: r.vote,
                commit: r.raft_log.committed,
                applied: r.raft_log.applied,
                persisted: r.raft_log.persisted,
                last_index: r.raft_log.last_index(),
                leader: r.leader_id,
                transferee: r.lead_transferee.unwrap_or(0),
                pending_conf_index: r.pending_conf_index,
                role: r.state as u32,
                promotable: r.promotable() as u8,
            },
        );
        OK
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_progress(
    g: *const Group,
    out: *mut CProgress,
    cap: usize,
    n: *mut usize,
) -> c_int {
    with(g as *mut Group, false, |g| {
        let mut k = 0;
        for (id, p) in g.rn.raft.prs().iter() {
            if k < cap {
                ptr::write(
                    out.add(k),
                    CProgress {
                        id: *id,
                        matched: p.matched,
                        next: p.next_idx,
                        pending_snapshot: p.pending_snapshot,
                        inflight: p.ins.count() as u64,
                        state: p.state as u32,
                        paused: p.is_paused() as u8,
                        recent_active: p.recent_active as u8,
                    },
                );
            }
            k += 1;
        }
        *n = k;
        OK
    })
}
