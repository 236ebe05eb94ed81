"""The small package behind the IA3 book; its first nine modules are the method, in the order in which to read them.

``functional`` the maths, ``transformer`` a plain model, ``folding`` and ``adapters`` what wraps one layer, ``attach``
the verbs that put adapters into any model, ``ia3`` the adapted transformer, ``config`` and ``counting`` sizes,
``geometry`` what a vector can do. The rest stands on those: ``pretrained`` (a real model), ``peft_bridge``, ``style``
and ``plots``, ``widgets``, and ``study``, the measured comparison.
"""

__version__ = "1.0.0"
