"""Gates: conditions on a finished run, so that a build fails when its service blocks its workers.

A *gate* is one condition that must not be met (``max>50ms``), a *breach* is what meets it, an
*excuse* is a line of a suppressions file. What the evidence does not carry
is neither passed nor failed: it is a *doubt*.
"""
