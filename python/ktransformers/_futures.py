"""Runs in threads of their own: one for each session, since its runs follow one another anyway."""

import asyncio
import concurrent.futures
import itertools
import threading
import weakref

_lock = threading.Lock()
_workers = weakref.WeakKeyDictionary()  # what runs: its thread, which ends when nobody has the session any more
_tickets = itertools.count(1)
_AGAIN = 0.005  # seconds


def _start(target, *run):
    """(future, ticket) of a run of a Session or a Model."""
    with _lock:
        worker = _workers.get(target)
        if worker is None:
            worker = _workers[target] = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="ktransformers")
        ticket = next(_tickets)
        return worker.submit(target._run, *run, ticket), ticket


def submit(target, *run):
    return _start(target, *run)[0]


async def run_async(target, *run):
    future, ticket = _start(target, *run)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        ended = asyncio.wrap_future(future)
        future.cancel()
        while not ended.done():  # until then it uses the caller's arrays
            target._cancel_run(ticket)  # which does nothing where the thread has not yet come so far
            try:
                await asyncio.wait([ended], timeout=_AGAIN)
            except asyncio.CancelledError:
                continue
        if not ended.cancelled():
            ended.exception()  # nobody asks for it
        raise
