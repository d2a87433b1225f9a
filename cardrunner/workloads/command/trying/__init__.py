"""`cardrunner try`: a copy of the code runs unsigned for two minutes in a folder that is thrown away."""
