//! Bytes of the engine's messages (rust-protobuf 2).
use protobuf::{CodedInputStream, Message as _};
use raft::eraftpb::{ConfChange, ConfChangeV2, Message};

pub fn encode(m: &Message, out: &mut Vec<u8>) -> bool {
    m.write_to_vec(out).is_ok()
}
/// One copy of the input; all entry payloads are then slices of that buffer.
pub fn decode(b: &[u8]) -> Option<Message> {
    let b = bytes::Bytes::copy_from_slice(b);
    let mut is = CodedInputStream::from_carllerche_bytes(&b);
    let mut m = Message::default();
    m.merge_from(&mut is).ok().map(|_| m)
}
pub fn conf_change_v1(b: &[u8]) -> Option<ConfChange> {
    let mut c = ConfChange::default();
    c.merge_from_bytes(b).ok().map(|_| c)
}
pub fn conf_change_v2(b: &[u8]) -> Option<ConfChangeV2> {
    let mut c = ConfChangeV2::default();
    c.merge_from_bytes(b).ok().map(|_| c)
}
