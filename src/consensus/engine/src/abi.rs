//! What crosses the C ABI: the twins of include/raft_abi.h, and views of the engine's objects in their form.
use raft::eraftpb::{ConfState, Entry, EntryType};
use std::ffi::{c_int, c_void};
use std::slice;

use crate::store::Sink;

pub const OK: c_int = 0;
pub const POISONED: c_int = -1;
pub const EINVAL: c_int = -2;
pub const BUSY: c_int = -3;
pub const DROPPED: c_int = -4;
pub const NOT_LEADER: c_int = -5;
pub const DECODE: c_int = -6;
pub const NO_PEER: c_int = -7;
pub const ERR: c_int = -8;
pub const ST_FAILED: c_int = 4;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    pub ptr: *const u8,
    pub len: usize,
}
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ids {
    pub ptr: *const u64,
    pub len: usize,
}
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct CHardState {
    pub term: u64,
    pub vote: u64,
    pub commit: u64,
}
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CConfState {
    pub voters: Ids,
    pub learners: Ids,
    pub voters_outgoing: Ids,
    pub learners_next: Ids,
    pub auto_leave: u8,
}
#[repr(C)]
pub struct CEntry {
    pub term: u64,
    pub index: u64,
    pub etype: u32,
    pub data: Slice,
    pub context: Slice,
}
#[repr(C)]
pub struct CMessage {
    pub to: u64,
    pub mtype: u32,
    pub bytes: Slice,
}
#[repr(C)]
pub struct CReadState {
    pub index: u64,
    pub context: Slice,
}
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CSnapshot {
    pub index: u64,
    pub term: u64,
    pub conf: CConfState,
    pub data: Slice,
}
#[repr(C)]
pub struct CChange {
    pub id: u64,
    pub ctype: u32,
}
#[repr(C)]
pub struct CProgress {
    pub id: u64,
    pub matched: u64,
    pub next: u64,
    pub pending_snapshot: u64,
    pub inflight: u64,
    pub state: u32,
    pub paused: u8,
    pub recent_active: u8,
}
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CStorage {
    pub user: *mut c_void,
    pub initial_state: extern "C" fn(*mut c_void, *mut CHardState, *mut CConfState) -> c_int,
    pub entries: extern "C" fn(*mut c_void, u64, u64, u64, *mut Sink) -> c_int,
    pub term: extern "C" fn(*mut c_void, u64, *mut u64) -> c_int,
    pub first_index: extern "C" fn(*mut c_void, *mut u64) -> c_int,
    pub last_index: extern "C" fn(*mut c_void, *mut u64) -> c_int,
    pub snapshot: extern "C" fn(*mut c_void, u64, u64, *mut Sink) -> c_int,
}
#[repr(C)]
pub struct CConfig {
    pub id: u64,
    pub applied: u64,
    pub max_size_per_msg: u64,
    pub max_uncommitted_size: u64,
    pub max_committed_size_per_ready: u64,
    pub election_seed: u64,
    pub priority: i64,
    pub election_tick: u32,
    pub heartbeat_tick: u32,
    pub min_election_tick: u32,
    pub max_election_tick: u32,
    pub max_inflight_msgs: u32,
    pub check_quorum: u8,
    pub pre_vote: u8,
    pub lease_reads: u8,
    pub skip_bcast_commit: u8,
    pub batch_append: u8,
    pub test_no_snapshot_guard: u8,
}
#[repr(C)]
pub struct CStatus {
    pub term: u64,
    pub vote: u64,
    pub commit: u64,
    pub applied: u64,
    pub persisted: u64,
    pub last_index: u64,
    pub leader: u64,
    pub transferee: u64,
    pub pending_conf_index: u64,
    pub role: u32,
    pub promotable: u8,
}
#[repr(C)]
pub struct CReady {
    pub number: u64,
    pub entries: *const CEntry,
    pub n_entries: usize,
    pub committed: *const CEntry,
    pub n_committed: usize,
    pub messages: *const CMessage,
    pub n_messages: usize,
    pub persisted: *const CMessage,
    pub n_persisted: usize,
    pub reads: *const CReadState,
    pub n_reads: usize,
    pub hs: CHardState,
    pub snapshot: CSnapshot,
    pub leader: u64,
    pub role: u32,
    pub has_hs: u8,
    pub has_snapshot: u8,
    pub has_soft: u8,
    pub must_sync: u8,
}
pub fn view(b: &[u8]) -> Slice {
    Slice {
        ptr: b.as_ptr(),
        len: b.len(),
    }
}
pub fn ids(v: &[u64]) -> Ids {
    Ids {
        ptr: v.as_ptr(),
        len: v.len(),
    }
}
pub unsafe fn bytes<'a>(p: *const u8, n: usize) -> &'a [u8] {
    if n == 0 {
        &[]
    } else {
        slice::from_raw_parts(p, n)
    }
}
pub unsafe fn id_vec(i: Ids) -> Vec<u64> {
    if i.len == 0 {
        vec![]
    } else {
        slice::from_raw_parts(i.ptr, i.len).to_vec()
    }
}
pub fn conf_view(c: &ConfState) -> CConfState {
    CConfState {
        voters: ids(&c.voters),
        learners: ids(&c.learners),
        voters_outgoing: ids(&c.voters_outgoing),
        learners_next: ids(&c.learners_next),
        auto_leave: c.auto_leave as u8,
    }
}
pub unsafe fn conf_from(c: &CConfState) -> ConfState {
    let mut s = ConfState::default();
    s.voters = id_vec(c.voters);
    s.learners = id_vec(c.learners);
    s.voters_outgoing = id_vec(c.voters_outgoing);
    s.learners_next = id_vec(c.learners_next);
    s.auto_leave = c.auto_leave != 0;
    s
}
pub fn entry_view(e: &Entry) -> CEntry {
    CEntry {
        term: e.term,
        index: e.index,
        etype: e.get_entry_type() as u32,
        data: view(&e.data),
        context: view(&e.context),
    }
}
pub fn entry_type(t: u32) -> EntryType {
    match t {
        1 => EntryType::EntryConfChange,
        2 => EntryType::EntryConfChangeV2,
        _ => EntryType::EntryNormal,
    }
}
