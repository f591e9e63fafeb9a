"""The Triton side of the operations: device code and its launchers. Importing any module here imports Triton."""
