// Folders of coordinators and of a site, and three people who may be administrators.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/descriptor.h"
#include "coordinator/registry/coordinator_folder.h"
#include "crypto/random_source.h"
#include "federation/files/signed_document_file.h"
#include "node/io/site_folder.h"
#include "tests/support/temporary_folder.h"

namespace fovea::federation {

using coordinator::registry::CoordinatorFolder;
using coordinator::registry::RosterChange;
using membership::Invite;
using membership::SignedDocument;

inline constexpr UnixMs kNow{1'900'000'000'000};

class FoundingTest : public testing::Test {
 protected:
  crypto::SigningKey new_key() { return crypto::SigningKey::create(random_); }
  membership::RosterSite new_site(std::string_view name) {
    return {SiteId::create(name).value(), new_key().verify_key(), new_key().verify_key(), new_key().verify_key(),
            new_key().verify_key()};
  }
  CoordinatorFolder coordinator(const std::string& name = "coordinator") const {
    return CoordinatorFolder(folder_.path() / name);
  }
  // The founding document of a new coordinator folder; not signed yet.
  SignedDocument begin(const CoordinatorFolder& folder, const std::vector<const crypto::SigningKey*>& administrators,
                       std::uint32_t quorum) {
    CoordinatorFolder::NewFederation fresh{"test", "127.0.0.1", 7443, {}, quorum};
    for (const auto* key : administrators) fresh.administrators.push_back(key->verify_key());
    EXPECT_TRUE(folder.create(fresh));
    return files::read_signed_document(folder.founding_file()).value();
  }
  SignedDocument founded(const CoordinatorFolder& folder, const std::vector<const crypto::SigningKey*>& administrators,
                         std::uint32_t quorum) {
    SignedDocument document = begin(folder, administrators, quorum);
    for (const auto* key : administrators) EXPECT_TRUE(document.sign(*key));
    EXPECT_TRUE(folder.found(document));
    return document;
  }
  node::io::SiteFolder site() {
    const node::io::SiteFolder out(folder_.path() / "anna");
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe(ends), 0);
    const Descriptor reader(ends[0]), writer(ends[1]);
    EXPECT_EQ(::write(writer.number(), "correct horse\n", 14), 14);
    EXPECT_TRUE(out.create(SiteId::create("anna").value(), {.descriptor = reader.number()}));
    return out;
  }

  test::TemporaryFolder folder_;
  crypto::SystemRandom random_;
  crypto::SigningKey anna_ = crypto::SigningKey::create(random_);
  crypto::SigningKey ben_ = crypto::SigningKey::create(random_);
  crypto::SigningKey cleo_ = crypto::SigningKey::create(random_);
};

}  // namespace fovea::federation
