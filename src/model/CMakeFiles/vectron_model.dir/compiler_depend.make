# Empty compiler generated dependencies file for vectron_model.
# This may be replaced when dependencies are built.
