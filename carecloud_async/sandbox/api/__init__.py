"""The operations that the sandbox answers.

`operations` finds the handler of a request. Most operations read and write tables: `lists`, `records`, `batches` and
`actions` serve these. The operations with rules of their own are in a file for each part of the API: `balances`,
`cards`, `customers`, `customer_actions`, `events`, `logins`, `purchases`, `segments`. All handlers get a `Call`
(`calls`), read it through `arguments` and `filters`, return data or an answer (`calls`), or raise a refusal
(`problems`).
"""
