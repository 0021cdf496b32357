# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The door to the C kernels: arrays in, pointers out, the GIL released in between."""

import os

import numpy as np

from fastgd.errors import SettingError

cimport numpy as cnp
from libc.math cimport isnan
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cnp.import_array()

cdef extern from "call.h" nogil:
    # What is touched here by name; the others are filled in their order.
    ctypedef struct Fields "Call":
        const void *inputs
        int64_t in_place
        int64_t kind
        int64_t n
        int64_t batch
        const int64_t *classes
        const void *targets
        void *outputs
        const void *table
        int64_t seed_low
        int64_t seed_high
        int64_t first_step
        int64_t steps
        int64_t finite
        double total
        double *sums

    ctypedef void (*Kernel)(Fields *, int64_t) noexcept nogil

cdef extern from "dispatch.h" nogil:
    enum: N_TIERS
    const char *const TIER_NAMES[N_TIERS]
    int tier_works(int)
    Kernel kernel_of(int, int)
    const char *const ACTIVATION_NAMES[]
    const char *const LOSS_NAMES[]
    const char *const UPDATE_NAMES[]


cdef list _names(const char *const *names):
    cdef list found = []
    while names[0] != NULL:
        found.append(names[0].decode())
        names += 1
    return found


#: The rules the kernels have, in the order of their codes.
RULES = {
    "activation": _names(ACTIVATION_NAMES),
    "loss": _names(LOSS_NAMES),
    "update": _names(UPDATE_NAMES),
}


def _tiers():
    """Return the names of the tiers this processor runs, best first."""
    return [TIER_NAMES[tier].decode() for tier in range(N_TIERS) if tier_works(tier)]


def _choose(names, cap):
    """Return the best tier, or the one FASTGD_CPU_TIER names."""
    if not cap:
        return names[0]
    if cap.lower() not in names:
        raise SettingError("FASTGD_CPU_TIER", f"must be one of {', '.join(names)}; got {cap!r}")
    return cap.lower()


TIERS = _tiers()
TIER = _choose(TIERS, os.environ.get("FASTGD_CPU_TIER"))
#: The fields that the kernel writes.
cdef enum: N_OUT = 3
cdef int _tier = [TIER_NAMES[i].decode() for i in range(N_TIERS)].index(TIER)


cdef class Call:
    """One call of the kernel: what to do, over which arrays. Threads of a team run it together."""

    cdef Fields fields
    cdef Kernel kernel
    cdef readonly object arguments

    def __init__(self, arguments):
        """Copy a `fastgd.backends.compiled.Call`, whose fields are these, 8 bytes each."""
        cdef int64_t *slots = <int64_t *>&self.fields
        cdef size_t i = 0
        cdef double number
        self.arguments = arguments  # keeps the arrays alive for as long as the pointers to them are
        self.kernel = kernel_of(_tier, arguments.flat.dtype.itemsize == 8)
        assert (len(arguments) + N_OUT) * sizeof(int64_t) == sizeof(Fields)
        for argument in arguments:
            if isinstance(argument, cnp.ndarray):
                if cnp.PyArray_SIZE(<cnp.ndarray>argument) == 0:
                    slots[i] = 0  # what is absent is a null pointer
                else:
                    slots[i] = <int64_t>cnp.PyArray_DATA(<cnp.ndarray>argument)
            elif isinstance(argument, (float, np.floating)):
                number = argument
                (<double *>slots)[i] = number
            else:
                slots[i] = argument
            i += 1

    def run(self, int64_t thread):
        """Run one thread's part; return the steps made and the sum of costs."""
        with nogil:
            self.kernel(&self.fields, thread)
        return self.fields.steps, self.fields.total


ctypedef fused kept_number:
    float
    double
    unsigned char


def compress(
    const kept_number[:, ::1] X,
    const int64_t[::1] pointers,
    kept_number[::1] values,
    int32_t[::1] columns,
):
    """Write the numbers of X that are not zero, and their columns, to where ``pointers`` says.

    Each place is written before it is known whether it is kept: there is room for one more. None
    beyond is, also where somebody changes X meanwhile.
    """
    cdef int64_t row, at, end
    cdef int32_t column, n = <int32_t>X.shape[1]
    with nogil:
        for row in range(X.shape[0]):
            at, end = pointers[row], pointers[row + 1]
            for column in range(n):
                values[at] = X[row, column]
                columns[at] = column
                at += (X[row, column] != 0) & (at < end)


cdef bint _finite(cnp.ndarray array, int64_t kind) noexcept nogil:
    """Whether all numbers are finite: those that are not have every bit of the exponent."""
    cdef int64_t i, n = cnp.PyArray_SIZE(array)
    cdef const uint32_t *narrow = <const uint32_t *>cnp.PyArray_DATA(array)
    cdef const uint64_t *wide = <const uint64_t *>cnp.PyArray_DATA(array)
    cdef uint32_t found = 0
    if kind == 0:
        for i in range(n):
            found |= (narrow[i] & <uint32_t>0x7f800000) == <uint32_t>0x7f800000
    elif kind == 1:
        for i in range(n):
            found |= (wide[i] & <uint64_t>0x7ff0000000000000) == <uint64_t>0x7ff0000000000000
    return found == 0


cdef int64_t _kind(cnp.ndarray array) noexcept:
    """Return the code of a kind of number the kernels read as it is, or -1."""
    if not cnp.PyArray_ISCARRAY_RO(array) or not cnp.PyArray_ISNOTSWAPPED(array):
        return -1
    cdef int code = cnp.PyArray_TYPE(array)
    return 0 if code == cnp.NPY_FLOAT32 else 1 if code == cnp.NPY_FLOAT64 else (
        2 if code == cnp.NPY_UINT8 else -1
    )


cdef class Quick:
    """Little calls on one network: a few rows, plain arrays, no work but the kernel's.

    `predict` and `step` return None for whatever is not plain; the caller then takes the long way,
    which also finds the words for what is wrong.
    """

    cdef Call call
    cdef int64_t most_rows, n_in, n_out
    cdef int number
    cdef bint busy, probabilities, as_seen
    cdef cnp.ndarray targets  # what scaled targets are written to
    cdef const double[::1] shifts, scales  # of the targets, where they are scaled

    def __init__(
        self, Call call, int64_t most_rows, int64_t n_in, int64_t n_out, bint probabilities,
        output_columns=None,
    ):
        if output_columns is not None:
            self.shifts, self.scales = output_columns
            self.targets = np.empty((most_rows, n_out), dtype=call.arguments.flat.dtype)
        self.call, self.most_rows, self.n_in, self.n_out = call, most_rows, n_in, n_out
        wide = call.arguments.flat.dtype.itemsize == 8
        self.number = cnp.NPY_FLOAT64 if wide else cnp.NPY_FLOAT32
        self.busy, self.probabilities = False, probabilities
        self.as_seen = call.fields.in_place  # numbers of the network's type need no change

    cdef int64_t _take(self, X, bint stepping) except -2:
        """Point the call at the rows of X; return their number, or 0 where they are not plain.

        What is too large is seen in predictions, which are given up then.
        """
        if self.busy or type(X) is not cnp.ndarray or cnp.PyArray_NDIM(X) != 2:
            return 0
        cdef int64_t n = cnp.PyArray_DIM(X, 0), kind = _kind(X)
        if kind < 0 or n < 1 or n > self.most_rows or cnp.PyArray_DIM(X, 1) != self.n_in:
            return 0
        if kind == 1 and self.number == cnp.NPY_FLOAT32 and stepping:  # may be too large for float32
            return 0
        self.call.fields.inputs = cnp.PyArray_DATA(X)
        self.call.fields.kind = kind
        self.call.fields.in_place = self.as_seen and cnp.PyArray_TYPE(X) == self.number
        self.call.fields.n = self.call.fields.batch = n
        return n

    def predict(self, X):
        """Return the outputs, or None."""
        cdef int64_t n = self._take(X, False)
        if n == 0:
            return None
        cdef cnp.npy_intp[2] shape
        shape[0], shape[1] = n, self.n_out
        cdef cnp.ndarray outputs = cnp.PyArray_EMPTY(2, shape, self.number, 0)
        self.call.fields.outputs = cnp.PyArray_DATA(outputs)
        self._go()
        if isnan(self.call.fields.total):
            return None
        return outputs if self.targets is None else self._in_units(outputs, n)

    cdef cnp.ndarray _in_units(self, cnp.ndarray outputs, int64_t n):
        """Return outputs in the units of the targets, float64."""
        cdef double[:, ::1] answers = np.empty((n, self.n_out))
        cdef const void *a = cnp.PyArray_DATA(outputs)
        cdef bint wide = self.number == cnp.NPY_FLOAT64
        cdef int64_t i, j, at
        for i in range(n):
            for j in range(self.n_out):
                at = i * self.n_out + j
                answers[i, j] = self.shifts[j] + self.scales[j] * (
                    (<const double *>a)[at] if wide else (<const float *>a)[at]
                )
        return np.asarray(answers)

    cdef bint _scale_targets(self, cnp.ndarray y, int64_t n):
        """Write targets as the network sees them to `targets`; return whether they are finite."""
        cdef const void *given = cnp.PyArray_DATA(y)
        cdef void *seen = cnp.PyArray_DATA(self.targets)
        cdef bint wide = self.number == cnp.NPY_FLOAT64, wide_y
        cdef int64_t at, j
        cdef double value
        wide_y = cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT64
        for at in range(n * self.n_out):
            j = at % self.n_out
            value = (<const double *>given)[at] if wide_y else (<const float *>given)[at]
            value = (value - self.shifts[j]) / self.scales[j]
            if wide:
                (<double *>seen)[at] = value
            else:
                (<float *>seen)[at] = <float>value
        return _finite(self.targets[:n], 1 if wide else 0)

    cdef bint _take_classes(self, cnp.ndarray y, int64_t n) noexcept:
        """Point the call at classes, if that is what y is."""
        cdef int64_t i
        cdef const int64_t *classes
        if cnp.PyArray_NDIM(y) != 1 or cnp.PyArray_DIM(y, 0) != n or self.n_out < 2:
            return False
        if self.targets is not None:
            return False
        if cnp.PyArray_TYPE(y) != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY_RO(y):
            return False
        if not cnp.PyArray_ISNOTSWAPPED(y):
            return False
        classes = <const int64_t *>cnp.PyArray_DATA(y)
        for i in range(n):
            if classes[i] < 0 or classes[i] >= self.n_out:
                return False
        self.call.fields.classes, self.call.fields.targets = classes, NULL
        return True

    cdef bint _take_targets(self, cnp.ndarray y, int64_t n) except -1:
        """Point the call at targets (n, n_out), or (n,) for one output, if that is what y is."""
        cdef int64_t kind = _kind(y)
        if self.probabilities or kind < 0 or kind == 2:
            return False
        if self.targets is None and cnp.PyArray_TYPE(y) != self.number:
            return False
        if cnp.PyArray_NDIM(y) == 1 and self.n_out > 1 or cnp.PyArray_NDIM(y) > 2:
            return False
        if cnp.PyArray_NDIM(y) == 0 or cnp.PyArray_DIM(y, 0) != n:
            return False
        if cnp.PyArray_SIZE(y) != n * self.n_out:
            return False
        if self.targets is not None:
            if not self._scale_targets(y, n):
                return False
            y = self.targets
        elif not _finite(y, kind):
            return False
        self.call.fields.classes, self.call.fields.targets = NULL, cnp.PyArray_DATA(y)
        return True

    def step(self, X, y, cnp.ndarray table, uint64_t seed, int64_t first_step):
        """Make one step; return the sum of the rows' costs (of which NaN made none), or None.

        ``table`` is the step's row of settings, in the network's dtype; seed and step are dropout's.
        """
        cdef int64_t n = self._take(X, True)
        if n == 0 or type(y) is not cnp.ndarray or not _finite(X, self.call.fields.kind):
            return None
        if not self._take_classes(y, n) and not self._take_targets(y, n):
            return None
        self.call.fields.table = cnp.PyArray_DATA(table)
        self.call.fields.seed_low = seed & <uint64_t>0xFFFFFFFF
        self.call.fields.seed_high = seed >> 32
        self.call.fields.first_step = first_step
        self.call.fields.sums[0] = self.call.fields.sums[1] = 0
        self._go()
        if self.call.fields.steps == 0 or not self.call.fields.finite:
            return float("nan")  # neither parameters nor slots were written
        return self.call.fields.total

    cdef void _go(self):
        self.busy = True
        with nogil:
            self.call.kernel(&self.call.fields, 0)
        self.busy = False
