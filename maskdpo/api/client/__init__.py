"""`maskdpo.Client`: a client of the annotation service, synchronous and asynchronous.

The rule: what is sent, how a reply is read, what is sent again and when a stream is opened again is
written once, as flows that do no work of their own (`effects`). `Client` and `AsyncClient` only do
what a flow asks for.

    address      where the service is, and the token
    effects      what a flow can ask for: send, read, wait, give a result
    tries        which calls are sent again, and the error of those that are not
    given        what a caller gives, as bodies of requests
    replies      bodies of replies, as records
    single, many, jobs, service   the flows
    edges, sync_edge, async_edge   do what flows ask for, with httpx2 and with aiohttp
    client, async_client  the classes that users see
"""
