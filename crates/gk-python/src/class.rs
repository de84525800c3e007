//! Python types whose instances carry a Rust value. Heap types, one per interpreter, so that no Python object is shared
//! between interpreters. Methods take positional arguments; a panic in one becomes a `SystemError`.

use crate::attached::Attached;
use crate::balance::Held;
use crate::entry::{arguments, guard};
use crate::error::{Builtin, PyError};
use crate::kept::Kept;
use crate::object::Object;
use pyo3_ffi as ffi;
use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;

/// Result of a method.
pub type MethodResult<'p> = Result<Object<'p>, PyError<'p>>;

/// A Rust type that instances of a Python type carry. `Sync`: several threads may call methods of one instance at once.
pub trait Class: Sized + Send + Sync + 'static {
    /// `module.Name`.
    const NAME: &'static CStr;
    /// At most [`MOST_METHODS`] named methods; dispatched by their index.
    const METHODS: &'static [Method] = &[];
    /// Whether instances can be called.
    const CALLABLE: bool = false;
    /// Whether instances are iterators.
    const ITERATOR: bool = false;

    /// Attributes that all instances share.
    fn attributes(py: Attached<'_>) -> Vec<(&'static str, Object<'_>)> {
        let _ = py;
        Vec::new()
    }

    /// Calls method number `index` of [`Class::METHODS`].
    fn method<'p>(&self, index: usize, this: &Object<'p>, args: &[Object<'p>]) -> MethodResult<'p> {
        let _ = (index, args);
        Err(PyError::new(this.py(), Builtin::TypeError, "no such method"))
    }

    /// Calls the instance. Keyword arguments arrive as a `dict`, if any.
    fn call<'p>(
        &self,
        this: &Object<'p>,
        args: &[Object<'p>],
        _keywords: Option<Object<'p>>,
    ) -> MethodResult<'p> {
        let _ = args;
        Err(PyError::new(this.py(), Builtin::TypeError, "not callable"))
    }

    /// The next item of an iterator; `None` ends it.
    fn next<'p>(&self, this: &Object<'p>) -> Result<Option<Object<'p>>, PyError<'p>> {
        let _ = this;
        Ok(None)
    }
}

/// A method's Python-visible description.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// Name.
    pub name: &'static CStr,
    /// Docstring.
    pub doc: &'static CStr,
}

/// Most named methods of one class.
pub const MOST_METHODS: usize = 12;

/// The Python type of a class in one interpreter.
pub struct Type<'p, T> {
    object: Object<'p>,
    _class: PhantomData<T>,
}

/// The Python type of a class, kept without an attachment. It remembers the class, so that an instance of one class is never
/// read as another.
///
/// ```no_run
/// use gk_python::{Class, KeptType, Type};
/// struct Number(i64);
/// impl Class for Number {
///     const NAME: &'static std::ffi::CStr = c"doc.Number";
/// }
/// # gk_python::entry::embed(|py| {
/// let kept: KeptType<Number> = Type::new(py).unwrap().keep();
/// let numbers: Type<'_, Number> = kept.bind(py);
/// let three = numbers.instance(Number(3)).unwrap();
/// assert_eq!(numbers.value(&three).map(|n| n.0), Some(3));
/// # });
/// ```
///
/// ```compile_fail,E0308
/// use gk_python::{Class, KeptType, Type};
/// # struct Number(i64);
/// # impl Class for Number {
/// #     const NAME: &'static std::ffi::CStr = c"doc.Number";
/// # }
/// struct Text(String);
/// # impl Class for Text {
/// #     const NAME: &'static std::ffi::CStr = c"doc.Text";
/// # }
/// # gk_python::entry::embed(|py| {
/// let kept: KeptType<Number> = Type::new(py).unwrap().keep();
/// let texts: Type<'_, Text> = kept.bind(py); // Another class: mismatched types.
/// # });
/// ```
pub struct KeptType<T> {
    kept: Kept,
    _class: PhantomData<T>,
}

impl<T: Class> KeptType<T> {
    /// The type under an attachment to its own interpreter.
    ///
    /// # Panics
    /// When attached to another interpreter.
    pub fn bind<'p>(&self, py: Attached<'p>) -> Type<'p, T> {
        Type { object: self.kept.bind(py), _class: PhantomData }
    }

    /// A new instance that carries `value`, without touching the type's reference count: several threads may make one at once.
    ///
    /// # Panics
    /// When attached to another interpreter.
    pub fn instance<'p>(&self, py: Attached<'p>, value: T) -> Result<Object<'p>, PyError<'p>> {
        self.kept.belongs(py);
        // SAFETY: a type made by `Type::new`, alive by the reference that this value owns, and of this interpreter.
        unsafe { instance_of(py, self.kept.raw.as_ptr(), value) }
    }
}

#[repr(C)]
struct Instance<T> {
    head: ffi::PyObject,
    /// Function for calls of the instance; the type gives CPython its offset.
    entry: ffi::vectorcallfunc,
    value: T,
}

impl<'p, T: Class> Type<'p, T> {
    /// Makes the type in the interpreter this thread is attached to.
    pub fn new(py: Attached<'p>) -> Result<Self, PyError<'p>> {
        assert!(T::METHODS.len() <= MOST_METHODS, "more methods than the trampolines serve");
        let mut methods: Vec<ffi::PyMethodDef> = T::METHODS
            .iter()
            .zip(trampolines::<T>())
            .map(|(method, trampoline)| ffi::PyMethodDef {
                ml_name: method.name.as_ptr(),
                ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: trampoline },
                ml_flags: ffi::METH_FASTCALL,
                ml_doc: method.doc.as_ptr(),
            })
            .collect();
        methods.push(ffi::PyMethodDef::zeroed());
        // CPython keeps pointers into the method table for the type's whole life, which is the interpreter's.
        let methods: &'static mut [ffi::PyMethodDef] = methods.leak();
        let slot = |slot: c_int, function: *mut c_void| ffi::PyType_Slot { slot, pfunc: function };
        let mut slots = vec![
            slot(ffi::Py_tp_dealloc, dealloc::<T> as *mut c_void),
            slot(ffi::Py_tp_methods, methods.as_mut_ptr().cast()),
        ];
        let mut flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
        if T::CALLABLE {
            let entry = ffi::PyMemberDef {
                name: c"__vectorcalloffset__".as_ptr(),
                type_code: ffi::Py_T_PYSSIZET,
                offset: std::mem::offset_of!(Instance<T>, entry) as ffi::Py_ssize_t,
                flags: ffi::Py_READONLY,
                doc: std::ptr::null(),
            };
            // Like the methods, for the type's whole life.
            let members: &'static mut [ffi::PyMemberDef] = vec![entry, ffi::PyMemberDef::default()].leak();
            slots.push(slot(ffi::Py_tp_members, members.as_mut_ptr().cast()));
            slots.push(slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void));
            flags |= ffi::Py_TPFLAGS_HAVE_VECTORCALL;
        }
        if T::ITERATOR {
            slots.push(slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void));
            slots.push(slot(ffi::Py_tp_iternext, next::<T> as *mut c_void));
        }
        slots.push(slot(0, std::ptr::null_mut()));
        let mut spec = ffi::PyType_Spec {
            name: T::NAME.as_ptr(),
            basicsize: std::mem::size_of::<Instance<T>>() as c_int,
            itemsize: 0,
            flags: flags as _,
            slots: slots.as_mut_ptr(),
        };
        // SAFETY: the spec and its slots live through the call; what CPython keeps (name, methods) is static.
        let object = py.owned(unsafe { ffi::PyType_FromSpec(&mut spec) })?;
        for (name, value) in T::attributes(py) {
            object.set_attr(name, &value)?;
        }
        Ok(Self { object, _class: PhantomData })
    }

    /// The same type without an attachment.
    pub fn keep(self) -> KeptType<T> {
        KeptType { kept: self.object.keep(), _class: PhantomData }
    }

    /// A new instance that carries `value`.
    pub fn instance(&self, value: T) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: the object is a type made by `new`, of the interpreter that this thread is attached to.
        unsafe { instance_of(self.object.py(), self.object.raw(), value) }
    }

    /// The value that an instance of this type carries; `None` for other objects.
    pub fn value<'o>(&self, object: &'o Object<'p>) -> Option<&'o T> {
        if !object.is_exactly(&self.object) {
            return None;
        }
        // SAFETY: its type is this class's, so it was made by `instance`.
        Some(unsafe { value_of::<T>(object.raw()) })
    }
}

/// # Safety
/// `kind` must be a live type made by [`Type::new`] for `T` in the interpreter of `py`.
unsafe fn instance_of<'p, T: Class>(
    py: Attached<'p>,
    kind: *mut ffi::PyObject,
    value: T,
) -> Result<Object<'p>, PyError<'p>> {
    // SAFETY: by the contract a heap type of the right size.
    let raw = unsafe { ffi::PyType_GenericAlloc(kind.cast(), 0) };
    let object = py.owned(raw)?;
    // SAFETY: freshly allocated with room for `Instance<T>`, whose entry is this one's alone.
    unsafe { (*raw.cast::<Instance<T>>()).entry = call::<T> };
    // SAFETY: as above; the value part is uninitialised until the write below.
    let place = unsafe { &raw mut (*raw.cast::<Instance<T>>()).value };
    // SAFETY: `place` is valid for writes and aligned by CPython's allocator (16 bytes).
    unsafe { place.write(value) };
    Held::Instance.taken();
    Ok(object)
}

/// # Safety
/// `raw` must be a live instance made by [`Type::instance`] of the same class.
unsafe fn value_of<'o, T>(raw: *mut ffi::PyObject) -> &'o T {
    // SAFETY: by the contract; the value is never moved or written again before dealloc.
    unsafe { &(*raw.cast::<Instance<T>>()).value }
}

extern "C" fn dealloc<T: Class>(raw: *mut ffi::PyObject) {
    Held::Instance.given_back();
    // SAFETY: CPython calls this once, attached, when the last reference goes.
    let kind = unsafe { ffi::Py_TYPE(raw) };
    // SAFETY: the instance was initialised by `instance` before anyone saw it.
    let place = unsafe { &raw mut (*raw.cast::<Instance<T>>()).value };
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        // SAFETY: last use of the value.
        unsafe { place.drop_in_place() };
    }));
    // SAFETY: memory from PyType_GenericAlloc of a type without GC.
    unsafe { ffi::PyObject_Free(raw.cast()) };
    // SAFETY: instances of heap types own a reference to their type.
    unsafe { ffi::Py_DECREF(kind.cast()) };
}

unsafe extern "C" fn call<T: Class>(
    this: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    counted: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guard(|py| {
        let this = py.borrowed(this)?;
        // The highest bit says what the callee may do with the place before the arguments.
        let count = counted & !ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
        let items = arguments(py, args, count)?;
        let keywords = if names.is_null() {
            None
        } else {
            Some(keywords(&py.borrowed(names)?, args.wrapping_add(count))?)
        };
        // SAFETY: CPython calls this only for instances of the class.
        let value = unsafe { value_of::<T>(this.raw()) };
        value.call(&this, &items, keywords).map(Some)
    })
}

/// Keyword arguments as a `dict`: the names are a tuple, the values stand one after the other.
fn keywords<'p>(names: &Object<'p>, values: *const *mut ffi::PyObject) -> MethodResult<'p> {
    let py = names.py();
    let dict = py.dict()?;
    for (index, value) in arguments(py, values, names.size()?)?.iter().enumerate() {
        dict.set_item(&names.tuple_item(index)?, value)?;
    }
    Ok(dict)
}

extern "C" fn next<T: Class>(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guard(|py| {
        let this = py.borrowed(this)?;
        // SAFETY: CPython calls this only for instances of the class.
        let value = unsafe { value_of::<T>(this.raw()) };
        value.next(&this)
    })
}

extern "C" fn method<T: Class, const INDEX: usize>(
    this: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    guard(|py| {
        let this = py.borrowed(this)?;
        let items = arguments(py, args, count as usize)?;
        // SAFETY: CPython calls this only for instances of the class.
        let value = unsafe { value_of::<T>(this.raw()) };
        value.method(INDEX, &this, &items).map(Some)
    })
}

fn trampolines<T: Class>() -> [ffi::PyCFunctionFast; MOST_METHODS] {
    [
        method::<T, 0>,
        method::<T, 1>,
        method::<T, 2>,
        method::<T, 3>,
        method::<T, 4>,
        method::<T, 5>,
        method::<T, 6>,
        method::<T, 7>,
        method::<T, 8>,
        method::<T, 9>,
        method::<T, 10>,
        method::<T, 11>,
    ]
}
