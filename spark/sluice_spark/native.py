"""libsluice.so (src/prepare/native.h), found at SLUICE_LIBRARY, beside this file (in the wheel), in ../lib of the sluice
program, or among the files that the driver ships."""

import ctypes
import json
import os
import shutil

from sluice_spark.errors import JobError

ABI = 1
NAME = "libsluice.so"
_library = None


def _candidates():
    if os.environ.get("SLUICE_LIBRARY"):
        yield os.environ["SLUICE_LIBRARY"]
        return
    here = os.path.dirname(os.path.abspath(__file__))
    yield os.path.join(here, NAME)
    program = shutil.which("sluice")
    if program:
        yield os.path.join(os.path.dirname(os.path.realpath(program)), "..", "lib", NAME)
    try:
        from pyspark import SparkFiles

        yield SparkFiles.get(NAME)
    except Exception:  # no Spark here (yet)
        pass


def library_path():
    tried = []
    for path in _candidates():
        if os.path.isfile(path):
            return os.path.abspath(path)
        tried.append(path)
    raise JobError("ENGINE", f"{NAME} is not at {', '.join(tried)}", "set SLUICE_LIBRARY to its path")


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
