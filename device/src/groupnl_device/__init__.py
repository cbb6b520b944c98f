"""The device's house: read a bundle, run it, measure it. Needs numpy, Pillow and ONNX Runtime; never torch.

Importing this package loads none of them: each module brings what it needs.
"""

__version__ = "0.1.0"
