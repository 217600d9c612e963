"""libsluice.so (src/prepare/native.h), found at SLUICE_LIBRARY, beside this file (in the wheel), among the files that the
driver has sent, or in ../lib of the sluice program."""

import array
import ctypes
import json
import os
import shutil

from sluice_spark.errors import JobError

ABI = 2
NAME = "libsluice.so"
_library = None

WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
READ = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
KEYS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t)


class Calls(ctypes.Structure):
    """struct sluice_calls"""

    _fields_ = [("user", ctypes.c_void_p), ("write", WRITE), ("read", READ), ("keys", KEYS)]


KEY_BYTES = 32  # struct sluice_key: two words of the hash, record, task


HERE = os.path.dirname(os.path.abspath(__file__))


def _candidates():
    if os.environ.get("SLUICE_LIBRARY"):
        yield os.environ["SLUICE_LIBRARY"]
        return
    yield os.path.join(HERE, NAME)
    try:
        from pyspark import SparkFiles

        yield SparkFiles.get(NAME)
    except Exception:  # no Spark here (yet)
        pass
    program = shutil.which("sluice")
    if program:
        yield os.path.join(os.path.dirname(os.path.realpath(program)), "..", "lib", NAME)


def library_path():
    tried = []
    for path in _candidates():
        if os.path.isfile(path):
            return os.path.abspath(path)
        tried.append(path)
    raise JobError("ENGINE", f"{NAME} is not at {', '.join(tried)}", "set SLUICE_LIBRARY to its path")


def library_files():
    """The library, and what lies beside it in the wheel, which it finds there."""
    path = library_path()
    if os.path.dirname(path) != HERE:
        return [path]
    return sorted(os.path.join(HERE, n) for n in os.listdir(HERE) if ".so" in n)


def library():
    """The library with its functions' types, loaded once in a process."""
    global _library
    if _library is None:
        path = library_path()
        try:
            lib = ctypes.CDLL(path)
            lib.sluice_abi_version.restype = ctypes.c_int
            lib.sluice_abi_version.argtypes = []
            found = lib.sluice_abi_version()
        except (OSError, AttributeError) as e:
            raise JobError("ENGINE", f"{path}: {e}") from e
        if found != ABI:
            raise JobError("ENGINE", f"{path} speaks version {found} where this package speaks {ABI}",
                           "take both from the same release")
        lib.sluice_free.restype = None
        lib.sluice_free.argtypes = [ctypes.c_void_p]
        lib.sluice_exit_status.restype = ctypes.c_int
        lib.sluice_exit_status.argtypes = [ctypes.c_char_p]
        text = [ctypes.c_char_p, ctypes.c_size_t]
        for name, arguments in {
            "sluice_prepare_plan": text,
            "sluice_prepare_task": text * 2 + [ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(Calls)],
            "sluice_prepare_join": text * 2 + [ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_size_t),
                                               ctypes.c_size_t, ctypes.POINTER(Calls)],
        }.items():
            function = getattr(lib, name)
            function.restype = ctypes.c_void_p  # not c_char_p, which would lose the pointer that is to be freed
            function.argtypes = arguments
        lib.sluice_keys_losers.restype = ctypes.c_size_t
        lib.sluice_keys_losers.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        lib.sluice_rows_schema.restype = None
        lib.sluice_rows_schema.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        lib.sluice_rows_next.restype = ctypes.c_int
        lib.sluice_rows_next.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        lib.sluice_take_batch.restype = ctypes.c_int
        lib.sluice_take_batch.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        for function in (lib.sluice_rows_fail, lib.sluice_take_fail):
            function.restype = None
            function.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
        _library = lib
    return _library


def exit_status(code):
    try:
        return library().sluice_exit_status(code.encode())
    except JobError:
        return 9


def text_of(pointer):
    """The text that a function gave, which is freed."""
    try:
        return ctypes.string_at(pointer).decode()
    finally:
        library().sluice_free(pointer)


def answer_of(pointer):
    return json.loads(text_of(pointer))


# ── a prepare by tasks ──


def prepare_plan(job):
    return answer_of(library().sluice_prepare_plan(job, len(job)))


def prepare_task(job, options, losers, calls):
    """`losers` are packed 64-bit numbers. The answer's text: {"error":…} or what prepare_join() takes."""
    options = json.dumps(options).encode()
    at = ctypes.create_string_buffer(losers, len(losers)) if losers else None
    return text_of(library().sluice_prepare_task(job, len(job), options, len(options), at, len(losers) // 8,
                                                 ctypes.byref(calls)))


def prepare_join(job, options, answers, calls):
    options = json.dumps(options).encode()
    texts = [a.encode() for a in answers]
    return text_of(library().sluice_prepare_join(
        job, len(job), options, len(options), (ctypes.c_char_p * len(texts))(*texts),
        (ctypes.c_size_t * len(texts))(*map(len, texts)), len(texts), ctypes.byref(calls)))


def keys_losers(entries):
    """Of a bytearray of entries, which is overwritten: {task: packed records that lost}."""
    n = len(entries) // KEY_BYTES
    if n == 0:
        return {}
    at = (ctypes.c_char * len(entries)).from_buffer(entries)
    lost = library().sluice_keys_losers(at, n)
    del at
    words = memoryview(entries)[:lost * KEY_BYTES].cast("Q")
    found = {}
    for i in range(lost):
        found.setdefault(words[4 * i + 3], array.array("Q")).append(words[4 * i + 2])
    return {task: records.tobytes() for task, records in found.items()}
