"""Other libraries, a file each, as somebody would use them who has no harness: the network as it was loaded, in their own
hands. A function computes what a contest asks for from its material. A library is imported when it is asked.
"""
