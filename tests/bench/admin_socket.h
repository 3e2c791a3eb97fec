#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "hongyan/v1/admin.pb.h"
#include "load_client.h"
#include "proto/frame.h"

namespace hongyan::bench {

// A blocking client of the server's back door: one request at a time, each with a deadline. A call
// on a lost connection makes it again once. One thread.
class AdminSocket {
 public:
  explicit AdminSocket(std::string path) : path_(std::move(path)) {}
  ~AdminSocket();
  AdminSocket(const AdminSocket&) = delete;
  AdminSocket& operator=(const AdminSocket&) = delete;

  base::Result<v1::AdminReply> Call(const v1::AdminRequest& request, int timeout_ms = 60'000);
  void Disconnect();

  // Creates users, in batches; a name that exists is taken as it is.
  base::Result<std::vector<Account>> MakeUsers(const std::vector<std::string>& names);

  // Draws device ids and issues tokens for accounts[from, to).
  base::Result<void> IssueTokens(std::vector<Account>& accounts, size_t from, size_t to,
                                 std::mt19937_64& random);

  // A group with all of these members; the first is its owner. Answers its id.
  base::Result<int64_t> MakeGroup(const std::string& name, const std::vector<int64_t>& members,
                                  const std::string& owner_name, std::mt19937_64& random);

  // The committed head of a user.
  base::Result<int64_t> HeadOf(const std::string& name);

  base::Result<v1::ListChannelsReply> Channels();

  // Pays `fen` into the wallet of each of accounts[from, to), in batches; repeated, it moves
  // nothing twice. `id` is the same for all: a move is known by its user and its id.
  base::Result<void> Deposit(const std::vector<Account>& accounts, size_t from, size_t to,
                             int64_t fen, const std::string& id);

  // The wallet and one page of its statement, newest first.
  base::Result<v1::ShowWalletReply> Wallet(const std::string& name, int64_t before, uint32_t rows);

  // A packet with all its claims; the reason is NO_SUCH_PACKET where there is none.
  base::Result<v1::ShowPacketReply> Packet(int64_t id);

  // Gives back what is left of a packet that is not closed.
  base::Result<void> EndPacket(int64_t id);

  // The audit, waiting until no money is on its way.
  base::Result<v1::AuditReply> Audit();

  // A figure of `stats`, without labels.
  base::Result<double> Stat(const std::string& name);

 private:
  base::Result<void> Connect();
  base::Result<v1::AdminReply> TryCall(const v1::AdminRequest& request, int timeout_ms);

  std::string path_;
  int fd_ = -1;
  uint32_t last_id_ = 0;
};

}  // namespace hongyan::bench
