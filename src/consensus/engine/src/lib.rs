//! C ABI over a Raft engine, see include/raft_abi.h. Thin: no threads, files, sockets or clocks.
#![allow(clippy::missing_safety_doc)]
mod abi;
mod codec;
mod group;
mod input;
mod ready;
mod store;
