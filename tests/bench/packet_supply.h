#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "asker.h"
#include "load_client.h"
#include "packet_books.h"
#include "stage.h"

namespace hongyan::bench {

// Makes packets ahead of a measurement: some senders, each with a few sends on its way; then asks
// until all of them are messages of their group, open for taking. Made and destroyed on the main
// thread.
class PacketSupply final : public LoadClient::Owner {
 public:
  // accounts[from, to) send; in the books they are first_person and following.
  PacketSupply(Stage& stage, PacketBooks& books, const std::vector<Account>& accounts, size_t from,
               size_t to, uint32_t first_person);
  ~PacketSupply() override;

  // `count` lucky packets of this group, each of `shares` shares. Empty: it could not be done, the
  // tally says why. Main thread.
  std::vector<uint32_t> Make(int64_t group, size_t count, int32_t shares, int64_t total_fen);

  // LoadClient::Owner
  void OnOnline(LoadClient& client) override { senders_[client.index()].asker->OnOnline(); }
  void OnAcked(LoadClient&, int64_t, int64_t) override {}
  void OnEntry(LoadClient&, const v1::Entry&, int64_t) override {}

 private:
  struct Sender {
    std::unique_ptr<LoadClient> client;
    std::unique_ptr<Asker> asker;
  };
  struct Wanted {
    LoadClient::Conversation where;
    size_t count = 0;
    int32_t shares = 1;
    int64_t total_fen = 1;
  };

  void SendNext(uint32_t sender);
  void AskFor(uint32_t send);

  Stage& stage_;
  PacketBooks& books_;
  const uint32_t first_person_;
  std::vector<Sender> senders_;
  Wanted wanted_;
  size_t asked_ = 0;
  std::vector<uint32_t> packets_;
  size_t open_ = 0;  // known to be messages
};

}  // namespace hongyan::bench
