"""Needs a terminal."""

name = input("The name of your run: ")
print(name)
