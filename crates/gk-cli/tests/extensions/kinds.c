/* Small extension modules for `doctor`'s tests: compiled once for each name with -DNAME=..., and one of
   SINGLE (single-phase), OWN (says that it takes every mode), NONE (says that it takes one interpreter only), or nothing
   (says nothing). CRASH, HANG, REFUSE and ONCE are done by its start. FILLED has content only the first
   time, as coverage's tracer. A single-phase one imports NEEDS, as modules made by cffi do. */
#include <Python.h>
#include <signal.h>
#include <unistd.h>

#define TEXT(x) #x
#define QUOTED(x) TEXT(x)
#define JOINED(a, b) a##b
#define INIT(name) JOINED(PyInit_, name)

static int begin(PyObject *module)
{
    (void)module;
#if defined(CRASH) || defined(HANG)
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
#ifdef CRASH
        raise(SIGSEGV);
#else
        for (;;) pause();
#endif
    }
#endif
#ifdef REFUSE
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        PyErr_SetString(PyExc_ImportError, "no sub-interpreter may load this");
        return -1;
    }
#endif
#ifdef FILLED
    static int filled = 0;
    if (!filled++ && PyModule_AddIntConstant(module, "one", 1) < 0) return -1;
#endif
#ifdef ONCE
    static int begun = 0;
    if (begun++) {
        PyErr_SetString(PyExc_ImportError, "cannot load module more than once per process");
        return -1;
    }
#endif
    return 0;
}

#ifdef SINGLE
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, QUOTED(NAME), NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC INIT(NAME)(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module && begin(module) < 0) Py_CLEAR(module);
#ifdef NEEDS
    if (module) {
        PyObject *other = PyImport_ImportModule(QUOTED(NEEDS));
        if (!other) Py_CLEAR(module);
        Py_XDECREF(other);
    }
#endif
    return module;
}
#else
static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, begin},
#if defined(OWN) && PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if defined(NONE) && PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if defined(OWN) && PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, QUOTED(NAME), NULL, 0, NULL, slots, NULL, NULL, NULL};

PyMODINIT_FUNC INIT(NAME)(void)
{
    return PyModuleDef_Init(&definition);
}
#endif
