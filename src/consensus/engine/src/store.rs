//! The log as the engine sees it: every read goes through the callbacks that the owner gave.
use raft::eraftpb::{Entry, HardState, Snapshot};
use raft::prelude::Storage;
use raft::{Error, GetEntriesContext, RaftState, StorageError};
use std::ffi::c_int;
use std::ptr;

use crate::abi::*;
use crate::group::caught;

/// Receives what a storage callback produces.
#[derive(Default)]
pub struct Sink {
    pub entries: Vec<Entry>,
    pub snapshot: Option<Snapshot>,
    pub failed: bool, // taking something in panicked
}
pub struct CStore {
    pub c: CStorage,
    pub applied: u64,
}
pub fn check(rc: c_int) -> raft::Result<()> {
    Err(Error::Store(match rc {
        0 => return Ok(()),
        1 => StorageError::Compacted,
        2 => StorageError::Unavailable,
        3 => StorageError::SnapshotTemporarilyUnavailable,
        n => StorageError::Other(format!("storage callback failed: {n}").into()),
    }))
}
impl Sink {
    fn check(&self, rc: c_int) -> raft::Result<()> {
        check(if self.failed { ST_FAILED } else { rc })
    }
}
impl Storage for CStore {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let none = Ids {
            ptr: ptr::null(),
            len: 0,
        };
        let mut h = CHardState::default();
        let mut c = CConfState {
            voters: none,
            learners: none,
            voters_outgoing: none,
            learners_next: none,
            auto_leave: 0,
        };
        check((self.c.initial_state)(self.c.user, &mut h, &mut c))?;
        let mut hs = HardState::default();
        hs.term = h.term;
        hs.vote = h.vote;
        // commit need not be durable, applied may be ahead of it; the engine panics unless commit >= applied
        hs.commit = h.commit.max(self.applied);
        Ok(RaftState::new(hs, unsafe { conf_from(&c) }))
    }
    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let mut s = Sink::default();
        let max = max_size.into().unwrap_or(u64::MAX);
        let rc = (self.c.entries)(self.c.user, low, high, max, &mut s);
        s.check(rc)?;
        Ok(s.entries)
    }
    fn term(&self, idx: u64) -> raft::Result<u64> {
        let mut t = 0;
        check((self.c.term)(self.c.user, idx, &mut t))?;
        Ok(t)
    }
    fn first_index(&self) -> raft::Result<u64> {
        let mut t = 0;
        check((self.c.first_index)(self.c.user, &mut t))?;
        Ok(t)
    }
    fn last_index(&self) -> raft::Result<u64> {
        let mut t = 0;
        check((self.c.last_index)(self.c.user, &mut t))?;
        Ok(t)
    }
    fn snapshot(&self, min: u64, to: u64) -> raft::Result<Snapshot> {
        let mut s = Sink::default();
        let rc = (self.c.snapshot)(self.c.user, min, to, &mut s);
        s.check(rc)?;
        s.snapshot
            .ok_or(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}

/// A panic must not reach the callback that calls; the sink then fails the read.
unsafe fn sink(s: *mut Sink, take: impl FnOnce(&mut Sink)) {
    let s = &mut *s;
    s.failed |= !caught(false, || {
        take(s);
        true
    });
}
#[no_mangle]
pub unsafe extern "C" fn rg_sink_entry(s: *mut Sink, e: *const CEntry) {
    sink(s, |s| {
        let e = &*e;
        let mut x = Entry::default();
        x.term = e.term;
        x.index = e.index;
        x.set_entry_type(entry_type(e.etype));
        x.data = bytes(e.data.ptr, e.data.len).to_vec().into();
        x.context = bytes(e.context.ptr, e.context.len).to_vec().into();
        s.entries.push(x);
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_sink_snapshot(s: *mut Sink, c: *const CSnapshot) {
    sink(s, |s| {
        let c = &*c;
        let mut x = Snapshot::default();
        x.mut_metadata().index = c.index;
        x.mut_metadata().term = c.term;
        x.mut_metadata().set_conf_state(conf_from(&c.conf));
        x.data = bytes(c.data.ptr, c.data.len).to_vec().into();
        s.snapshot = Some(x);
    })
}
