# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The door to the C kernels: arrays in, pointers out, the GIL released in between."""

import os

cimport numpy as cnp
from libc.math cimport isnan
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cnp.import_array()

cdef extern from "task.h" nogil:
    enum: N_SETTINGS

    ctypedef struct Task:
        int64_t task
        const int64_t *plan
        void *work
        void *flat
        void *slots
        int64_t n_slots
        int64_t n_parameters
        const void *inputs
        const int64_t *pointers
        const int32_t *columns
        int32_t *gathered
        int32_t *lengths
        int64_t kind
        double scale
        const int64_t *order
        int64_t n
        int64_t batch
        const int64_t *classes
        const void *targets
        void *outputs
        int64_t average
        int64_t linear
        int64_t update
        double settings[N_SETTINGS]
        double *costs
        int64_t n_threads
        int64_t *barrier
        int64_t steps
        int64_t finite
        double total

    ctypedef void (*Kernel)(Task *, int64_t) noexcept nogil

cdef extern from "dispatch.h" nogil:
    enum: N_TIERS
    const char *const TIER_NAMES[N_TIERS]
    int tier_works(int)
    Kernel kernel_of(int, int)


def _tiers():
    """Return the names of the tiers this processor runs, best first."""
    return [TIER_NAMES[tier].decode() for tier in range(N_TIERS) if tier_works(tier)]


def _choose(names, cap):
    """Return the best tier, or the one FASTGD_CPU_TIER names."""
    if not cap:
        return names[0]
    if cap.lower() not in names:
        raise ImportError(f"FASTGD_CPU_TIER must be one of {', '.join(names)}; got {cap!r}")
    return cap.lower()


TIERS = _tiers()
TIER = _choose(TIERS, os.environ.get("FASTGD_CPU_TIER"))
cdef int _tier = [TIER_NAMES[i].decode() for i in range(N_TIERS)].index(TIER)


cdef inline void *_data(cnp.ndarray array):
    return NULL if array is None else cnp.PyArray_DATA(array)


cdef class Call:
    """One call of the kernel: what to do, over which arrays. Threads of a team run it together."""

    cdef Task task
    cdef Kernel kernel
    cdef readonly object arrays

    def __init__(
        self,
        int64_t task,
        cnp.ndarray plan,
        cnp.ndarray work,
        cnp.ndarray flat,
        cnp.ndarray slots,
        cnp.ndarray inputs,
        cnp.ndarray pointers,
        cnp.ndarray columns,
        cnp.ndarray gathered,
        cnp.ndarray lengths,
        int64_t kind,
        double scale,
        cnp.ndarray order,
        int64_t n,
        int64_t batch,
        cnp.ndarray classes,
        cnp.ndarray targets,
        cnp.ndarray outputs,
        bint average,
        bint linear,
        int64_t update,
        settings,
        cnp.ndarray costs,
        int64_t n_threads,
        cnp.ndarray barrier,
    ):
        cdef int i
        # Kept alive for as long as the pointers to them are.
        self.arrays = (
            plan, work, flat, slots, inputs, pointers, columns, gathered, lengths, order, classes,
            targets, outputs, costs, barrier,
        )
        self.kernel = kernel_of(_tier, flat.descr.itemsize == 8)
        self.task.task = task
        self.task.plan = <const int64_t *>_data(plan)
        self.task.work = _data(work)
        self.task.flat = _data(flat)
        self.task.slots = _data(slots)
        self.task.n_slots = 0 if slots is None else slots.shape[0]
        self.task.n_parameters = flat.shape[0]
        self.task.inputs = _data(inputs)
        self.task.pointers = <const int64_t *>_data(pointers)
        self.task.columns = <const int32_t *>_data(columns)
        self.task.gathered = <int32_t *>_data(gathered)
        self.task.lengths = <int32_t *>_data(lengths)
        self.task.kind = kind
        self.task.scale = scale
        self.task.order = <const int64_t *>_data(order)
        self.task.n = n
        self.task.batch = batch
        self.task.classes = <const int64_t *>_data(classes)
        self.task.targets = _data(targets)
        self.task.outputs = _data(outputs)
        self.task.average = average
        self.task.linear = linear
        self.task.update = update
        for i in range(N_SETTINGS):
            self.task.settings[i] = settings[i]
        self.task.costs = <double *>_data(costs)
        self.task.n_threads = n_threads
        self.task.barrier = <int64_t *>_data(barrier)

    def run(self, int64_t thread):
        """Run one thread's part; return the steps made and the sum of costs."""
        with nogil:
            self.kernel(&self.task, thread)
        return self.task.steps, self.task.total


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

    Each place is written before it is known whether it is kept: there is room for one more.
    """
    cdef int64_t row, at
    cdef int32_t column, n = <int32_t>X.shape[1]
    with nogil:
        for row in range(X.shape[0]):
            at = pointers[row]
            for column in range(n):
                values[at] = X[row, column]
                columns[at] = column
                at += X[row, column] != 0


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
    cdef bint busy, probabilities

    def __init__(
        self, Call call, int64_t most_rows, int64_t n_in, int64_t n_out, bint probabilities
    ):
        self.call, self.most_rows, self.n_in, self.n_out = call, most_rows, n_in, n_out
        self.number = cnp.NPY_FLOAT64 if call.arrays[2].dtype.itemsize == 8 else cnp.NPY_FLOAT32
        self.busy, self.probabilities = False, probabilities

    cdef int64_t _take(self, X) except -2:
        """Point the task at the rows of X; return their number, or 0 where they are not plain."""
        if self.busy or type(X) is not cnp.ndarray or cnp.PyArray_NDIM(X) != 2:
            return 0
        cdef int64_t n = cnp.PyArray_DIM(X, 0), kind = _kind(X)
        if kind < 0 or n < 1 or n > self.most_rows or cnp.PyArray_DIM(X, 1) != self.n_in:
            return 0
        if kind == 1 and self.number == cnp.NPY_FLOAT32:  # may be too large for float32
            return 0
        self.call.task.inputs = cnp.PyArray_DATA(X)
        self.call.task.kind = kind
        self.call.task.n = self.call.task.batch = n
        return n

    def predict(self, X):
        """Return the outputs, or None."""
        cdef int64_t n = self._take(X)
        if n == 0:
            return None
        cdef cnp.npy_intp[2] shape
        shape[0], shape[1] = n, self.n_out
        cdef cnp.ndarray outputs = cnp.PyArray_EMPTY(2, shape, self.number, 0)
        self.call.task.outputs = cnp.PyArray_DATA(outputs)
        self._go()
        return None if isnan(self.call.task.total) else outputs

    cdef bint _take_classes(self, cnp.ndarray y, int64_t n) noexcept:
        """Point the task at classes, if that is what y is."""
        cdef int64_t i
        cdef const int64_t *classes
        if cnp.PyArray_NDIM(y) != 1 or cnp.PyArray_DIM(y, 0) != n or self.n_out < 2:
            return False
        if cnp.PyArray_TYPE(y) != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY_RO(y):
            return False
        if not cnp.PyArray_ISNOTSWAPPED(y):
            return False
        classes = <const int64_t *>cnp.PyArray_DATA(y)
        for i in range(n):
            if classes[i] < 0 or classes[i] >= self.n_out:
                return False
        self.call.task.classes, self.call.task.targets = classes, NULL
        return True

    cdef bint _take_targets(self, cnp.ndarray y, int64_t n) noexcept:
        """Point the task at targets (n, n_out), or (n,) for one output, if that is what y is."""
        cdef int64_t kind = _kind(y)
        if self.probabilities or cnp.PyArray_TYPE(y) != self.number or kind < 0:
            return False
        if cnp.PyArray_NDIM(y) == 1 and self.n_out > 1 or cnp.PyArray_NDIM(y) > 2:
            return False
        if cnp.PyArray_NDIM(y) == 0 or cnp.PyArray_DIM(y, 0) != n:
            return False
        if cnp.PyArray_SIZE(y) != n * self.n_out or not _finite(y, kind):
            return False
        self.call.task.classes, self.call.task.targets = NULL, cnp.PyArray_DATA(y)
        return True

    def step(self, X, y):
        """Make one step; return the sum of the rows' costs (of which NaN made none), or None."""
        cdef int64_t n = self._take(X)
        if n == 0 or type(y) is not cnp.ndarray or not _finite(X, self.call.task.kind):
            return None
        if not self._take_classes(y, n) and not self._take_targets(y, n):
            return None
        self._go()
        if self.call.task.steps == 0:
            return float("nan")
        return self.call.task.total

    def parameters_are_finite(self):
        """Return whether every parameter was finite after the last step."""
        return self.call.task.finite != 0

    cdef void _go(self):
        self.busy = True
        with nogil:
            self.call.kernel(&self.call.task, 0)
        self.busy = False
