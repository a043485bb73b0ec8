file(REMOVE_RECURSE
  "libvectron_base.a"
)
