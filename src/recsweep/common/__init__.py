"""The ground of every other package: errors, names, paths, files, secrets, processes."""
