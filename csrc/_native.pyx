# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The door to the C kernels: arrays in, pointers out, the GIL released in between."""

import os

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t

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
    if cap not in names:
        raise ImportError(f"FASTGD_CPU_TIER must be one of {', '.join(names)}; got {cap!r}")
    return cap


TIERS = _tiers()
TIER = _choose(TIERS, os.environ.get("FASTGD_CPU_TIER"))
cdef int _tier = [TIER_NAMES[i].decode() for i in range(N_TIERS)].index(TIER)


cdef inline void *_data(cnp.ndarray array):
    return NULL if array is None else cnp.PyArray_DATA(array)


cdef class Call:
    """One call of the kernel: what to do, over which arrays. Threads of a team run it together."""

    cdef Task task
    cdef Kernel kernel
    cdef object arrays

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
