//===- Arrays.cpp - numpy's arrays and the runtime's tensors --------------===//

#include "python/src/Arrays.h"
#include "python/src/Errors.h"

#include <cmath>
#include <iterator>

namespace kt::python {

namespace {

struct TypeName {
  DataType type;
  const char *name;
  bool extended = false; // of ml_dtypes, not numpy's own
};
// In the order of DataType.
constexpr TypeName kTypes[] = {
    {DataType::f32, "float32"},
    {DataType::f16, "float16"},
    {DataType::bf16, "bfloat16", true},
    {DataType::f64, "float64"},
    {DataType::i8, "int8"},
    {DataType::u8, "uint8"},
    {DataType::i16, "int16"},
    {DataType::u16, "uint16"},
    {DataType::i32, "int32"},
    {DataType::u32, "uint32"},
    {DataType::i64, "int64"},
    {DataType::u64, "uint64"},
    {DataType::boolean, "bool"},
    {DataType::f8e4m3fn, "float8_e4m3fn", true},
    {DataType::f8e4m3fnuz, "float8_e4m3fnuz", true},
    {DataType::f8e5m2, "float8_e5m2", true},
    {DataType::f8e5m2fnuz, "float8_e5m2fnuz", true},
    {DataType::i4, "int4", true},
    {DataType::u4, "uint4", true},
    {DataType::i2, "int2", true},
    {DataType::u2, "uint2", true},
    {DataType::f4e2m1, "float4_e2m1fn", true},
    {DataType::f8e8m0, "float8_e8m0fnu", true},
    {DataType::c64, "complex64"},
    {DataType::c128, "complex128"},
};
constexpr bool inOrder() {
  for (size_t i = 0; i < std::size(kTypes); ++i)
    if (static_cast<size_t>(kTypes[i].type) != i)
      return false;
  return std::size(kTypes) == static_cast<size_t>(DataType::string);
}
static_assert(inOrder(), "every type has its name of numpy's");

/// What of numpy each run needs. It is made when the extension is imported (importNumpy), since two threads may wait
/// for each other where one makes a static and gives up the GIL on its way. It is never freed: modules may go before
/// the last array does.
struct Numpy {
  nb::object module = nb::module_::import_("numpy");
  nb::object ndarray = module.attr("ndarray");
  nb::object asarray = module.attr("asarray");
  nb::object array = module.attr("array");
  nb::object empty = module.attr("empty");
};
const Numpy &numpy() {
  static const Numpy *held = new Numpy;
  return *held;
}

std::string shapeText(nb::handle array) {
  std::string text = "[";
  for (nb::handle dim : array.attr("shape"))
    text += (text.size() > 1 ? ", " : "") + std::string(nb::str(dim).c_str());
  return text + "]";
}

[[noreturn]] void mismatch(const Port &port, const std::string &got, const char *what = "input") {
  raise(Status::usage(std::string(what) + " '" + port.info.name + "': expected " + port.text() + " but got " + got));
}

/// True for what is an array to numpy, or holds one, so that asarray does not wrap it as an object.
bool isSeenByNumpy(nb::handle value) {
  return PyObject_CheckBuffer(value.ptr()) || nb::hasattr(value, "__array__") ||
         nb::hasattr(value, "__array_interface__") || nb::hasattr(value, "__array_struct__");
}

/// A scalar of Python has no size: it takes the port's type where both are of the same kind. numpy would also make 1 of
/// True and cut 1.5 and 300 to what fits.
nb::object fromScalar(nb::handle value, Port &port) {
  nb::handle dtype = port.numpyType();
  DataType type = port.info.type;
  bool isBool = PyBool_Check(value.ptr()), isInt = PyLong_Check(value.ptr()) && !isBool;
  bool isFloat = PyFloat_Check(value.ptr());
  bool toInteger = (type >= DataType::i8 && type <= DataType::u64) || (type >= DataType::i4 && type <= DataType::u2);
  bool toComplex = type == DataType::c64 || type == DataType::c128;
  bool toFloat = type != DataType::boolean && !toInteger && !toComplex;
  auto refuse = [&] { mismatch(port, nb::repr(value).c_str()); };
  if (type == DataType::boolean ? !isBool : toInteger ? !isInt : isBool)
    refuse();
  nb::object array;
  try {
    array = numpy().array(value, nb::arg("dtype") = dtype);
  } catch (nb::python_error &) { // out of the type's range
    refuse();
  }
  // Integers stay exactly what they are, older versions of numpy wrap those that do not fit. Floats are rounded.
  if (isInt && !nb::int_(array.attr("item")()).equal(value))
    refuse();
  if (isFloat && toFloat && std::isfinite(PyFloat_AsDouble(value.ptr())) &&
      !std::isfinite(nb::cast<double>(nb::float_(array.attr("item")()))))
    refuse();
  return array;
}

nb::object asArray(nb::handle value, Port &port) {
  const Numpy &np = numpy();
  if (value.type().is(np.ndarray))
    return nb::borrow(value);
  if (PyBool_Check(value.ptr()) || PyLong_CheckExact(value.ptr()) || PyFloat_CheckExact(value.ptr()) ||
      PyComplex_CheckExact(value.ptr()))
    return fromScalar(value, port);
  try {
    if (!isSeenByNumpy(value) && nb::hasattr(value, "__dlpack__"))
      return np.module.attr("from_dlpack")(value);
    return np.asarray(value);
  } catch (nb::python_error &error) { // of another device, ragged lists
    if (!error.matches(PyExc_Exception) || error.matches(PyExc_MemoryError))
      throw;
    raiseFrom(error, "input '" + port.info.name + "': numpy does not see an array in it");
  }
}

} // namespace

void importNumpy() { numpy(); }

const char *dtypeName(DataType type) {
  auto i = static_cast<size_t>(type);
  return i < std::size(kTypes) ? kTypes[i].name : name(type);
}

nb::object dtypeOf(DataType type) {
  auto i = static_cast<size_t>(type);
  if (i >= std::size(kTypes))
    raise(Status::usage(std::string("numpy has no type for ") + name(type)));
  if (!kTypes[i].extended)
    return numpy().module.attr("dtype")(kTypes[i].name);
  try {
    return numpy().module.attr("dtype")(nb::module_::import_("ml_dtypes").attr(kTypes[i].name));
  } catch (nb::python_error &error) {
    raiseFrom(error, std::string(kTypes[i].name) + " is a type of ml_dtypes, which has to be installed for it");
  }
}

std::string Port::text() const {
  std::string text = std::string(dtypeName(info.type)) + "[";
  for (size_t i = 0; i < info.text.size(); ++i)
    text += (i ? ", " : "") + info.text[i];
  return text + "]";
}

void checkArray(nb::handle value, Port &port, const char *what) {
  nb::object array = value.type().is(numpy().ndarray) ? nb::borrow(value) : numpy().asarray(value);
  nb::object dtype = array.attr("dtype"), shape = array.attr("shape");
  nb::handle expected = port.numpyType();
  bool same = (dtype.is(expected) || dtype.equal(expected)) && nb::len(shape) == port.info.dims.size();
  for (size_t i = 0; same && i < port.info.dims.size(); ++i)
    same = port.info.dims[i] < 0 || nb::cast<int64_t>(shape[i]) == port.info.dims[i];
  if (!same)
    mismatch(port, std::string(nb::str(dtype).c_str()) + shapeText(array), what);
}

void checkTensor(const GpuTensor &tensor, const Port &port, const char *what) {
  bool same = tensor.isOf(port.info.type) && tensor.dims().size() == port.info.dims.size();
  for (size_t i = 0; same && i < port.info.dims.size(); ++i)
    same = port.info.dims[i] < 0 || tensor.dims()[i] == port.info.dims[i];
  if (!same)
    mismatch(port, tensor.text(), what);
}

void Borrowed::borrow(nb::handle value, Port &port, const Place &place) {
  if (!value.type().is(numpy().ndarray) && kt::python::isOnGpu(value)) {
    gpu = GpuTensor(value, place, "input '" + port.info.name + "'", /*writes=*/false);
    checkTensor(gpu, port, "input");
    type = port.info.type;
    return;
  }
  nb::object array = asArray(value, port);
  nb::object dtype = array.attr("dtype");
  nb::handle expected = port.numpyType();
  if (!dtype.is(expected) && !dtype.equal(expected))
    mismatch(port, std::string(nb::str(dtype).c_str()) + shapeText(array));
  // Without a format, which numpy has none of for other packages' types.
  if (PyObject_GetBuffer(array.ptr(), &buffer, PyBUF_C_CONTIGUOUS) != 0) {
    PyErr_Clear();
    array = numpy().array(array, nb::arg("order") = "C"); // ascontiguousarray gives scalars a dimension
    if (PyObject_GetBuffer(array.ptr(), &buffer, PyBUF_C_CONTIGUOUS) != 0)
      throw nb::python_error();
  }
  if (static_cast<size_t>(buffer.ndim) != port.info.dims.size())
    mismatch(port, dtypeName(port.info.type) + shapeText(array));
  type = port.info.type;
}

namespace {
nb::object shapeOf(const TensorView &tensor) {
  nb::object shape = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(tensor.dims.size())));
  for (size_t i = 0; i < tensor.dims.size(); ++i)
    PyTuple_SetItem(shape.ptr(), static_cast<Py_ssize_t>(i), PyLong_FromLongLong(tensor.dims[i]));
  return shape;
}
} // namespace

nb::object emptyArray(const TensorView &tensor, Port &port) { return numpy().empty(shapeOf(tensor), port.numpyType()); }

nb::object arrayOver(nb::object owner, const TensorView &tensor, Port &port) {
  return numpy().ndarray(shapeOf(tensor), port.numpyType(), owner);
}

void *dataOf(nb::handle array) {
  Py_buffer buffer;
  if (PyObject_GetBuffer(array.ptr(), &buffer, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) != 0)
    throw nb::python_error();
  void *data = buffer.buf;
  PyBuffer_Release(&buffer);
  return data;
}

} // namespace kt::python
