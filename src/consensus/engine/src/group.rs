//! One replica of one group: its life, the guards that the engine lacks, and the catching of panics.
use raft::prelude::*;
use raft::{Error, ReadOnlyOption, StateRole};
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::Once;

use crate::abi::*;
use crate::store::CStore;

pub struct Group {
    pub rn: RawNode<CStore>,
    pub rd: Option<Ready>, // handed out, not yet advanced (its vectors live in the scratch)
    pub poisoned: Cell<bool>,
    pub seed: u64,
    pub rolls: u64,
    pub seen: (u64, StateRole),
    pub range: (u64, u64),
    pub no_guard: bool,
    pub snap_pending: u64, // snapshot handed out, not yet applied: the engine must not start an election meanwhile
}

thread_local!(static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) });
pub fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|i| {
            LAST_PANIC.with(|l| *l.borrow_mut() = i.to_string())
        }));
    });
}
pub fn caught<R>(dflt: R, f: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(dflt)
}
pub unsafe fn with(g: *mut Group, free: bool, f: impl FnOnce(&mut Group) -> c_int) -> c_int {
    let Some(g) = g.as_mut() else { return EINVAL };
    if g.poisoned.get() {
        return POISONED;
    }
    if free && g.rd.is_some() {
        return BUSY;
    }
    match catch_unwind(AssertUnwindSafe(|| f(g))) {
        Ok(rc) => rc,
        Err(_) => {
            g.poisoned.set(true);
            POISONED
        }
    }
}
pub fn rc(r: raft::Result<()>) -> c_int {
    match r {
        Ok(()) => OK,
        Err(Error::ProposalDropped) => DROPPED,
        Err(Error::StepPeerNotFound) => NO_PEER,
        Err(Error::StepLocalMsg) => EINVAL,
        Err(_) => ERR,
    }
}

#[no_mangle]
pub unsafe extern "C" fn rg_create(
    c: *const CConfig,
    st: *const CStorage,
    err: *mut c_int,
) -> *mut Group {
    let (c, st) = (&*c, *st);
    let made = catch_unwind(AssertUnwindSafe(|| {
        install_hook();
        let cfg = Config {
            id: c.id,
            election_tick: c.election_tick as usize,
            heartbeat_tick: c.heartbeat_tick as usize,
            min_election_tick: c.min_election_tick as usize,
            max_election_tick: c.max_election_tick as usize,
            applied: c.applied,
            max_size_per_msg: c.max_size_per_msg,
            max_inflight_msgs: c.max_inflight_msgs as usize,
            max_uncommitted_size: c.max_uncommitted_size,
            max_committed_size_per_ready: c.max_committed_size_per_ready,
            check_quorum: c.check_quorum != 0,
            pre_vote: c.pre_vote != 0,
            read_only_option: if c.lease_reads != 0 {
                ReadOnlyOption::LeaseBased
            } else {
                ReadOnlyOption::Safe
            },
            batch_append: c.batch_append != 0,
            skip_bcast_commit: c.skip_bcast_commit != 0,
            priority: c.priority,
        };
        let store = CStore {
            c: st,
            applied: c.applied,
        };
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let range = (
            cfg.min_election_tick() as u64,
            cfg.max_election_tick() as u64,
        );
        RawNode::new(&cfg, store, &log).map(|rn| {
            let mut g = Group {
                rn,
                rd: None,
                poisoned: Cell::new(false),
                seed: c.election_seed,
                rolls: 0,
                seen: (0, StateRole::Follower),
                range,
                no_guard: c.test_no_snapshot_guard != 0,
                snap_pending: 0,
            };
            g.roll();
            Box::into_raw(Box::new(g))
        })
    }));
    let (p, rc) = match made {
        Ok(Ok(g)) => (g, OK),
        Ok(Err(_)) => (ptr::null_mut(), ERR),
        Err(_) => (ptr::null_mut(), POISONED),
    };
    if !err.is_null() {
        *err = rc;
    }
    p
}
#[no_mangle]
pub unsafe extern "C" fn rg_destroy(g: *mut Group) {
    if !g.is_null() {
        caught((), || drop(Box::from_raw(g)))
    }
}
impl Group {
    /// The engine draws from thread_rng on every role/term reset. The drawn value is only looked at inside tick(), so
    /// replacing it with one of ours before the tick makes a run a function of the seed.
    pub fn roll(&mut self) {
        if self.seed != 0 {
            let mut z = (self.seed ^ self.rn.raft.id.rotate_left(40))
                .wrapping_add(self.rolls.wrapping_mul(0x9e3779b97f4a7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
            z ^= z >> 31;
            self.rolls += 1;
            let t = self.range.0 + z % (self.range.1 - self.range.0);
            self.rn.raft.set_randomized_election_timeout(t as usize);
        }
    }
    pub fn pin(&mut self) {
        if self.seed == 0 {
            return;
        }
        let now = (self.rn.raft.term, self.rn.raft.state);
        if now != self.seen {
            self.seen = now;
            self.roll();
        }
    }
}
#[no_mangle]
pub unsafe extern "C" fn rg_last_panic(buf: *mut c_char, cap: usize) -> usize {
    caught(0, || {
        LAST_PANIC.with(|l| {
            let l = l.borrow();
            let n = l.len().min(cap);
            ptr::copy_nonoverlapping(l.as_ptr(), buf as *mut u8, n);
            n
        })
    })
}
#[no_mangle]
pub unsafe extern "C" fn rg_test_panic(g: *mut Group) -> c_int {
    with(g, false, |_| panic!("deliberate"))
}
