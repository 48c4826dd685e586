"""Other frameworks' weights and files <-> a layer and its parameters."""
