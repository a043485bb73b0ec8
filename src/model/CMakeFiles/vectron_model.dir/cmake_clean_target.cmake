file(REMOVE_RECURSE
  "libvectron_model.a"
)
