"""`maskdpo.Client`: a client of the annotation service, synchronous and asynchronous.

The rule: what is sent, how a reply is read, what is sent again and when a stream is opened again is
written once, as asynchronous functions. `AsyncClient` awaits them; `Client` waits for them.

    address      where the service is, and the token
    wire         requests, replies, lines and events
    edge         sends requests, with aiohttp
    tries        which calls are sent again, and the error of those that are not
    given        what a caller gives, as bodies of requests
    replies      bodies of replies, as records
    single, many, jobs, service   what can be asked
    waiting      the event loop of a `Client`
    client, async_client  the classes that users see
"""
