# Empty compiler generated dependencies file for vectron_base.
# This may be replaced when dependencies are built.
