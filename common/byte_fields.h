// One list of a record's fields for both directions over common/codec.h: what is written is what is read.
//
//   struct Hello { RoundNumber last_round = 0; std::string software; };
//   template <class Fields>
//   void fields(Fields& f, FieldsOf<Fields, Hello> hello) {
//     f.u32("hello.last_round", hello.last_round);
//     f.text("hello.software", hello.software, 80);
//   }
//   Bytes bytes = encode_fields(hello);   Result<Hello> hello = decode_fields<Hello>(bytes, "hello");
//
// `Fields` is FieldWriter, to which a record is const, or FieldReader. `fields` is found by the namespace of the
// record. A list and a text have a bound, which the reader holds its input to before it allocates. The reader stops at
// the first error, an invalid_argument that names the field: nothing is read or asked for after it, and the record is
// unspecified but destructible. What a record must hold beyond the types of its fields is said with `require`, at its
// place in the list; only a reader checks it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/codec.h"
#include "common/result.h"

namespace fovea {

template <class Fields, class Record>
using FieldsOf = typename Fields::template Reference<Record>;

// The most entries of a list, and what its error calls them.
struct ListBound {
  std::size_t count_max = 0;
  std::string_view noun = "entries";
};

class FieldWriter {
 public:
  static constexpr bool kReads = false;
  template <class Record>
  using Reference = const Record&;

  explicit FieldWriter(ByteWriter& out) : out_(out) {}  // `out` must outlive this

  void u8(std::string_view, std::uint8_t value) { out_.u8(value); }
  void u16(std::string_view, std::uint16_t value) { out_.u16(value); }
  void u32(std::string_view, std::uint32_t value) { out_.u32(value); }
  void u64(std::string_view, std::uint64_t value) { out_.u64(value); }
  void f64(std::string_view, double value) { out_.f64(value); }
  void boolean(std::string_view, bool value) { out_.u8(value ? 1 : 0); }
  template <class Enum, class Parse>
  void u16_enum(std::string_view, Enum value, Parse) {
    out_.u16(static_cast<std::uint16_t>(value));
  }
  template <std::size_t N>
  void array(std::string_view, const std::array<std::uint8_t, N>& value) {
    out_.raw(value);
  }
  void bytes(std::string_view, ByteView value, std::size_t) { out_.sized(value); }
  void text(std::string_view, std::string_view value, std::size_t) { out_.sized(value); }
  void rest(std::string_view, ByteView value) { out_.raw(value); }

  template <class Record>
  void group(std::string_view, const Record& record) {
    fields(*this, record);
  }
  template <class Record>
  void nested(std::string_view, const Record& record, std::size_t) {
    out_.sized(record.encode());
  }
  template <class Item, class Each>
  void list(std::string_view, const std::vector<Item>& items, ListBound, Each each) {
    out_.u32(static_cast<std::uint32_t>(items.size()));
    const Item* previous = nullptr;
    for (const Item& item : items) each(*this, item, std::exchange(previous, &item));
  }
  template <class T>
  bool present(const std::optional<T>& value, bool) const {
    return value.has_value();
  }

  std::size_t left() const { return 0; }
  void require(bool, std::string_view, std::string_view) const {}

 private:
  ByteWriter& out_;
};

class FieldReader {
 public:
  static constexpr bool kReads = true;
  template <class Record>
  using Reference = Record&;

  explicit FieldReader(ByteReader& in) : in_(in) {}  // `in` must outlive this

  void u8(std::string_view field, std::uint8_t& out) {
    read(out, [&] { return in_.u8(field); });
  }
  void u16(std::string_view field, std::uint16_t& out) {
    read(out, [&] { return in_.u16(field); });
  }
  void u32(std::string_view field, std::uint32_t& out) {
    read(out, [&] { return in_.u32(field); });
  }
  void u64(std::string_view field, std::uint64_t& out) {
    read(out, [&] { return in_.u64(field); });
  }
  void f64(std::string_view field, double& out) {
    read(out, [&] { return in_.f64(field); });
  }
  void boolean(std::string_view field, bool& out);  // anything but 0 and 1 is refused
  // `parse`: Result<Enum>(std::uint16_t).
  template <class Enum, class Parse>
  void u16_enum(std::string_view field, Enum& out, Parse parse) {
    std::uint16_t number = 0;
    u16(field, number);
    read(out, [&] { return parse(number); });
  }
  template <std::size_t N>
  void array(std::string_view field, std::array<std::uint8_t, N>& out) {
    read(out, [&] { return in_.array<N>(field); });
  }
  void bytes(std::string_view field, Bytes& out, std::size_t size_max);
  void bytes(std::string_view field, ByteView& out, std::size_t size_max) {  // a view of the input
    read(out, [&] { return in_.sized(field, size_max); });
  }
  void text(std::string_view field, std::string& out, std::size_t size_max) {
    read(out, [&] { return in_.text(field, size_max); });
  }
  // All that is left; a view of the input.
  void rest(std::string_view field, ByteView& out) {
    read(out, [&] { return in_.raw(field, in_.left()); });
  }

  // A record whose fields are named "<prefix>.<field>". Groups do not lie in groups.
  template <class Record>
  void group(std::string_view prefix, Record& record) {
    prefix_ = prefix;
    fields(*this, record);
    prefix_ = {};
  }
  // A record with a length before it and a decode() of its own.
  template <class Record>
  void nested(std::string_view field, Record& record, std::size_t size_max) {
    ByteView view;
    bytes(field, view, size_max);
    read(record, [&] { return Record::decode(view); });
  }
  // each(*this, item, previous) reads one item; `previous` is null for the first.
  template <class Item, class Each>
  void list(std::string_view field, std::vector<Item>& items, ListBound bound, Each each) {
    items.resize(read_count(field, bound));
    for (std::size_t i = 0; i < items.size() && !error_; ++i)
      each(*this, items[i], i > 0 ? &std::as_const(items[i - 1]) : nullptr);
  }
  // For a part that nothing in the bytes announces: whether it follows, for the reader to say.
  template <class T>
  bool present(std::optional<T>& value, bool follows) {
    if (error_ || !follows) return false;
    value.emplace();
    return true;
  }

  std::size_t left() const { return error_ ? 0 : in_.left(); }
  // Unless `holds`, the error "<field>: <rule>".
  void require(bool holds, std::string_view field, std::string_view rule);
  // Of a value that is made from what was read: `make` returns a Result<T>.
  template <class T, class Make>
  void read(T& out, Make make) {
    if (error_) return;
    auto made = make();
    if (made) out = std::move(*made);
    else fail(std::move(made).error());
  }

  Result<void> status() const;                         // the first error
  Result<void> finish(std::string_view record) const;  // that, or bytes left over

 private:
  std::size_t read_count(std::string_view field, ListBound bound);
  void fail(Error error);

  ByteReader& in_;
  std::string_view prefix_;
  std::optional<Error> error_;
};

template <class Record>
void write_fields(ByteWriter& out, const Record& record) {
  FieldWriter writer(out);
  fields(writer, record);
}

template <class Record>
Bytes encode_fields(const Record& record) {
  ByteWriter out;
  write_fields(out, record);
  return std::move(out).take();
}

// `name`: of the record, in the error about bytes that are left over.
template <class Record>
Result<Record> decode_fields(ByteView bytes, std::string_view name) {
  ByteReader in(bytes);
  FieldReader reader(in);
  Record record;
  fields(reader, record);
  FOVEA_TRY(reader.finish(name));
  return record;
}

}  // namespace fovea
