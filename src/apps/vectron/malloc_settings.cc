// Settings of jemalloc, which reads them from this symbol before main: memory that was freed goes
// back to the system after some seconds, by a thread of jemalloc's own, also while the process is
// idle.

extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0";
}
