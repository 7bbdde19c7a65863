"""What is between the network and the routes: who may ask, how much, in what form, how slowly.

The rule: nothing outside this folder has to think of hostile input. `GuardedProtocol` bounds what a
connection may cost before there is a request; `Guard` bounds a request before a route sees it;
`errors` gives every failure one body that repeats no text, no path and no token.
"""
