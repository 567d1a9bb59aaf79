// Reading and damaging the files of a ledger in tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "federation/ledger/ledger.h"
#include "tests/support/hex.h"

namespace fovea::test {

namespace fs = std::filesystem;

inline std::string slurp(const fs::path& path) {
  const Bytes bytes = read_file(path, std::size_t{1} << 30U).value();
  return std::string(as_text(bytes));
}

inline void spill(const fs::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline void flip_byte(const fs::path& path, std::size_t at, unsigned bits = 1U) {
  std::string bytes = slurp(path);
  bytes.at(at) = static_cast<char>(static_cast<std::uint8_t>(bytes.at(at)) ^ bits);
  spill(path, bytes);
}

// Every file below `folder`, relative to it, sorted.
inline std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) out.push_back(entry.path().lexically_relative(folder).generic_string());
  std::sort(out.begin(), out.end());
  return out;
}

inline crypto::SigningKey signing_key(std::uint64_t number) {
  return crypto::SigningKey::from_seed(numbered_key(number));
}

inline federation::ledger::LedgerOptions ledger_options(const fs::path& folder, std::string origin = "test/st-anna",
                                                        std::uint64_t key = 1) {
  return {.folder = folder, .origin = std::move(origin), .key = signing_key(key)};
}

// A harmless entry that differs from number to number.
inline federation::ledger::LedgerEntry numbered_entry(std::uint64_t number) {
  return federation::ledger::Incident{"test", "entry number " + std::to_string(number)};
}

inline std::vector<federation::ledger::LedgerEntry> numbered_entries(std::uint64_t first, std::uint64_t count) {
  std::vector<federation::ledger::LedgerEntry> out;
  for (std::uint64_t i = 0; i < count; ++i) out.push_back(numbered_entry(first + i));
  return out;
}

inline constexpr UnixMs kTestTime{1'700'000'000'000};

}  // namespace fovea::test
