"""Reading networks that a user has written with Brian2."""
