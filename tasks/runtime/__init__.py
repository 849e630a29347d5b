"""What every stage and command runs on: params, paths, files, progress, errors."""
