"""The operations that the sandbox answers.

`operations` finds the handler of a request. Most operations read and write tables: `lists` and `records` serve these.
The operations with rules of their own are in `actions`, `customers` and `logins`. All get a `Call` (`calls`), check it
by `arguments`, and return data or an answer, or raise a refusal.
"""
