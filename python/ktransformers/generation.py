"""Language models: a prompt goes in, tokens or a text come out, and what the model keeps between them stays where it runs."""

import atexit
import dataclasses
import operator
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import _text
from ._errors import Error, UsageError
from ._runtime import Model, StatePool, TokenGenerator, read_genai_config

Prompt = str | Sequence[int] | Sequence[str] | Sequence[Sequence[int]]
Stop = int | str | Sequence[int | str]

_CAPACITY = 4096  # where nothing says how long a model's context is
_DRAFT_GUESSES = 4  # at once, as ktrun generate has it
_NO_CONFIG = {"ports": {}, "temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0, "stop": [], "piece": 0, "vocabulary": 0, "context_length": None}


@dataclasses.dataclass(frozen=True)
class Generation:
    """What a request has made. Of several prompts, `tokens` and `text` are lists with what follows each."""

    tokens: list[int] | list[list[int]]
    """Those that are new, with the one that ended it."""
    text: str | list[str] | None
    """Their text, up to a text of `stop`; None without a tokenizer."""
    seconds_to_first: float
    """From the request to the first token."""
    seconds: float
    """All of it."""
    tokens_per_second: float
    """Of all streams together, after those that came first; 0 where there are none."""
    runs: int
    """Of the model after the first token."""
    guessed: int
    """Tokens that were guessed."""
    accepted: int
    """Guesses that were right."""


class Generator:
    """A language model with its state, which goes on from request to request. Threads that share one take turns.

    model: an artifact's path, a folder with one (and its genai_config.json and tokenizer.json where it has them), or a Model.
    capacity: tokens of a prompt and what follows it that there is room for; None: the context length that genai_config.json says, else 4096.
    pool: a StatePool for the caches; None: memory for all of the capacity is the generator's.
    in_place: whether caches stay where they are; else they go in and out of each run.
    draft: a smaller model of the same vocabulary (as `model`), which guesses.
    tokenizer: of the package `tokenizers`, or a folder with a tokenizer.json; None: the model's folder's.
    device, device_memory, threads: as Model's, for what is loaded here.

    UsageError for a model that generates nothing, with the name of the port that is missing or that nobody can fill, for a draft that does not go with the model, and for a folder
    whose files contradict one another; what Model raises for an artifact that cannot be loaded.
    """

    def __init__(
        self,
        model: str | os.PathLike | Model,
        *,
        capacity: int | None = None,
        pool: StatePool | None = None,
        in_place: bool = True,
        draft: str | os.PathLike | Model | None = None,
        tokenizer: Any = None,
        device: str = "auto",
        device_memory: int | None = None,
        threads: int = 0,
    ):
        options = {"device": device, "device_memory": device_memory, "threads": threads}
        self._config, self._model, folder = _opened(model, options)
        draft_config, draft_model = (_NO_CONFIG, None) if draft is None else _opened(draft, options)[:2]
        self._has_draft = draft is not None
        self._tokenizer, self._folder = tokenizer, folder
        if isinstance(tokenizer, (str, os.PathLike)):
            self._tokenizer, self._folder = None, os.fspath(tokenizer)
        self._loop = TokenGenerator(
            self._model,
            capacity=(self._config["context_length"] or _CAPACITY) if capacity is None else capacity,
            pool=pool,
            in_place=in_place,
            draft=draft_model,
            ports=self._config["ports"],
            draft_ports=draft_config["ports"],
            vocabulary=self._config["vocabulary"],
        )

    def generate(
        self,
        prompt: Prompt | None = None,
        *,
        max_new_tokens: int = 64,
        stop: Stop | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        piece: int | None = None,
        guesses: int | None = None,
        lookup: int = 2,
        pad: bool = False,
        ahead: bool | None = None,
        on_token: Callable[[int, int], Any] | None = None,
    ) -> Generation:
        """Reads a prompt and generates what follows it. Gives up the GIL meanwhile.

        prompt: a text, a sequence of tokens, or a list of either: prompts that are read side by side, which are the same in number in later requests. None: goes on behind the
            latest token.
        max_new_tokens: at most, for each prompt.
        stop: what ends a stream: a token, a text, or a list of them; None: what genai_config.json says, [] nothing.
        temperature: 0 takes the likeliest token. top_k: draws from so many of the likeliest; 0 from all. top_p: from the likeliest that have this probability together.
            seed: the same draws the same tokens. None: what genai_config.json says, else 0, 0, 1 and 0.
        piece: at most so many tokens of a prompt in one run; 0: all.
        guesses: so many tokens are guessed at once, and those kept that the model agrees with: the tokens are the same as without. The draft guesses (4 unless given), or what
            followed the same `lookup` tokens the last time (0 unless given). For one prompt, a temperature of 0 and a model that gives logits for all tokens.
        pad: begins shorter prompts with pads, so that one run reads all of them.
        ahead: of a model that chooses tokens itself, whether a run begins before the tokens of the one before are looked at; None: on a GPU.
        on_token: called with (token, stream) for each as soon as it is known. The stream ends where it answers False; what it raises ends the request and is raised here. It may
            call cancel() and nothing else of the generator.

        Returns a Generation. UsageError, with the state as before, for an empty prompt where nothing goes on, tokens that the model does not know, what does not fit, and
        options that do not go together. FailedError where a run fails and after `cancel`.
        """
        prompts, several = self._prompts(prompt)
        tokens, texts = _stops(self._config["stop"] if stop is None else stop)
        count = len(prompts) if prompts else self._loop.streams
        shown = [_text.Text(self._needs_tokenizer(), texts) for _ in range(count)] if texts else None

        def heard(token, stream):
            wanted = True if on_token is None else on_token(token, stream)
            if shown:
                shown[stream].add(token)
                return wanted is not False and not shown[stream].stopped
            return wanted

        made = self._loop.generate(
            prompts=prompts,
            max_new=operator.index(max_new_tokens),
            temperature=self._config["temperature"] if temperature is None else temperature,
            top_k=self._config["top_k"] if top_k is None else top_k,
            top_p=self._config["top_p"] if top_p is None else top_p,
            seed=self._config["seed"] if seed is None else seed,
            stop=tokens,
            piece=self._config["piece"] if piece is None else piece,
            guesses=(_DRAFT_GUESSES if self._has_draft else 0) if guesses is None else guesses,
            lookup=lookup,
            pad=pad,
            ahead=ahead,
            on_token=heard if shown or on_token is not None else None,
        )
        if shown:
            for text in shown:
                text.finish()
            text = [text.text for text in shown]
        elif tokenizer := self._tokenizer_if_any():
            text = [tokenizer.decode(stream) for stream in made["tokens"]]
        else:
            text = [None] * len(made["tokens"])
        if several or (not prompts and count > 1):
            made["text"] = text if text[0] is not None else None
        else:
            made["tokens"], made["text"] = made["tokens"][0], text[0]
        return Generation(**made)

    def stream(self, prompt: str | Sequence[int] | None = None, **options: Any) -> "Stream":
        """Generates as `generate` does, with its options but on_token, and yields what comes as it comes: pieces of a text where the prompt is one, else tokens.

        One prompt at a time. A thread of its own generates, ahead of who asks; `close` ends it, and so does leaving a loop over the stream in any way. What goes wrong is
        raised where the next piece is asked for.
        """
        return Stream(self, prompt, options)

    @property
    def model(self) -> Model:
        """The Model."""
        return self._model

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, or None. UsageError where there is a tokenizer.json and the package `tokenizers` is not installed."""
        if self._tokenizer is None and self._folder is not None:
            self._tokenizer = _text.load(self._folder)
        return self._tokenizer

    @property
    def held(self) -> int:
        """Tokens that the state has of each stream: all so far but the latest, which the model has yet to read."""
        return self._loop.held

    @property
    def streams(self) -> int:
        """The streams that go on; 0: none yet."""
        return self._loop.streams

    @property
    def capacity(self) -> int:
        """Tokens of each stream that the state has room for."""
        return self._loop.capacity

    @property
    def vocabulary(self) -> int:
        """Tokens that the model knows, from 0 on."""
        return self._loop.vocabulary

    def truncate(self, length: int) -> None:
        """Forgets all but the first `length` tokens of each stream, and the latest token. UsageError where fewer are held, and where the state cannot go back."""
        self._loop.truncate(length)

    def reset(self) -> None:
        """Forgets everything."""
        self._loop.reset()

    def fork(self) -> "Generator":
        """A generator that goes on from a copy of this one's state. UsageError where caches are not in place."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _loop=self._loop.fork())
        return other

    def cancel(self) -> None:
        """Ends the request in progress, or the next one where none is, with FailedError. From any thread; does not wait."""
        self._loop.cancel()

    def __repr__(self):
        return f"<ktransformers.Generator of {self._model!r}: room for {self.capacity} tokens>"

    def _tokenizer_if_any(self):
        try:
            return self.tokenizer
        except Error:  # tokens need none
            return None

    def _needs_tokenizer(self):
        if self.tokenizer is None:
            where = "a Model or an artifact alone has none" if self._folder is None else f"'{self._folder}' has no tokenizer.json"
            raise UsageError(f"a text needs a tokenizer, and {where}: give tokenizer=, or tokens")
        return self.tokenizer

    def _prompts(self, prompt):
        """([[token, ...], ...], whether there are several); none where all streams go on."""
        if prompt is None:
            return [], False
        several = not isinstance(prompt, str) and len(prompt) > 0 and not _is_token(prompt[0])
        return [self._tokens(one) for one in (prompt if several else [prompt])], several

    def _tokens(self, prompt):
        if isinstance(prompt, str):
            # What a tokenizer puts in front of a text stands in front of all of it.
            return self._needs_tokenizer().encode(prompt, add_special_tokens=self._loop.streams == 0).ids
        if isinstance(prompt, bytes):
            raise TypeError("expected a text or tokens but got bytes")
        return [operator.index(token) for token in prompt]


class Stream:
    """What a generator yields as it comes (Generator.stream). An iterator, and a context that closes it."""

    def __init__(self, generator, prompt, options):
        if "on_token" in options:
            raise TypeError("a stream calls nobody for each token: iterate over it, or use Generator.generate")
        if prompt is None and generator.streams > 1:
            raise UsageError(f"{generator.streams} streams go on, expected one")
        prompts, several = generator._prompts(prompt)
        if several:
            raise UsageError(f"{len(prompts)} prompts for one stream, expected one")
        self._text = None
        if isinstance(prompt, str):
            self._text = _text.Text(generator._needs_tokenizer(), _stops(options.get("stop") or [])[1])
        self.result: Generation | None = None
        """The Generation, once the stream has ended."""
        self._pieces, self._closed = queue.SimpleQueue(), threading.Event()
        self._thread = threading.Thread(target=_produce, args=(generator, prompts[0] if prompts else None, options, self._pieces, self._closed), daemon=True)
        _streams.add(self)
        self._thread.start()

    def __iter__(self) -> Iterator[int | str]:
        return self

    def __next__(self) -> int | str:
        while self._thread is not None:
            kind, value = self._pieces.get()
            if kind == "token":
                piece = value if self._text is None else self._text.add(value)
                if piece != "":
                    return piece
                continue
            self._thread.join()
            self._thread = None
            if kind == "raised":
                raise value
            self.result = value
            if self._text is not None and (rest := self._text.finish()):
                return rest
        raise StopIteration

    def close(self) -> None:
        """Ends it behind the token that is being generated, and waits for that."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_closed", None) is not None:
            self._closed.set()  # without waiting: this may be any thread, and its loop ends by itself


def generate(model: str | os.PathLike | Model, prompt: Prompt, *, max_new_tokens: int = 64, **options: Any) -> Generation:
    """Generates what follows `prompt` and forgets it: Generator(model, ...).generate(prompt, ...), with the options of both.

    model: an artifact's path, a folder with one, or a Model. prompt: a text, tokens, or a list of either. Returns a Generation. A program that generates more than once
    makes a Generator, which loads the model once.
    """
    made = {name: options.pop(name) for name in _GENERATOR if name in options}
    return Generator(model, **made).generate(prompt, max_new_tokens=max_new_tokens, **options)


_GENERATOR = ("capacity", "pool", "in_place", "draft", "tokenizer", "device", "device_memory", "threads")
_streams = weakref.WeakSet()


def _close_streams():
    for stream in list(_streams):
        stream.close()


atexit.register(_close_streams)  # a thread cannot take the GIL of an interpreter that is gone


def _produce(generator, prompt, options, pieces, closed):
    """A stream's thread. It does not hold the stream, so that one that nobody has any more ends it."""

    def heard(token, _):
        pieces.put(("token", token))
        return not closed.is_set()

    try:
        pieces.put(("done", generator.generate(prompt, on_token=heard, **options)))
    except BaseException as error:
        pieces.put(("raised", error))


def _opened(model, options):
    """(configuration, Model, folder of the tokenizer or None) of what a caller calls a model."""
    if isinstance(model, Model):
        return _NO_CONFIG, model, None
    path = os.fspath(model)
    if not os.path.isdir(path):
        return _NO_CONFIG, Model(path, **options), os.path.dirname(path) or "."
    config = read_genai_config(path)
    return config, Model(config["artifact"], **options), path


def _is_token(value):
    return hasattr(value, "__index__") and getattr(value, "ndim", 0) == 0


def _stops(stop):
    """(tokens, texts) of what ends a stream."""
    tokens, texts = [], []
    for one in [stop] if isinstance(stop, str) or _is_token(stop) else stop:
        if isinstance(one, str):
            if not one:
                raise UsageError("a text that ends a stream is empty, expected a character at least")
            texts.append(one)
        else:
            tokens.append(operator.index(one))
    return tokens, texts
