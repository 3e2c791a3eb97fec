#include "fault/file_table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace hongyan::fault {

FileTable::~FileTable() {
  if (slots_ != nullptr) munmap(slots_, kSlots * sizeof(Slot));
}

bool FileTable::Open(const std::string& path) {
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  void* memory = MAP_FAILED;
  if (ftruncate(fd, kSlots * sizeof(Slot)) == 0) {
    memory = mmap(nullptr, kSlots * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  close(fd);
  if (memory == MAP_FAILED) return false;
  slots_ = static_cast<Slot*>(memory);
  for (size_t i = kSlots; i-- > 0;) {
    uint64_t inode = slots_[i].inode.load(std::memory_order_acquire);
    if (inode != 0) {
      by_inode_[inode] = i;
    } else {
      free_.push_back(static_cast<uint32_t>(i));
    }
  }
  return true;
}

Slot* FileTable::Find(uint64_t inode) {
  auto found = by_inode_.find(inode);
  return found == by_inode_.end() ? nullptr : &slots_[found->second];
}

Slot* FileTable::Add(uint64_t inode, const Durable& durable) {
  if (free_.empty()) return nullptr;
  size_t index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.versions[0] = durable;
  slot.valid.store(0, std::memory_order_release);
  slot.inode.store(inode, std::memory_order_release);
  by_inode_[inode] = index;
  return &slot;
}

void FileTable::Drop(Slot* slot) {
  by_inode_.erase(slot->inode.load(std::memory_order_acquire));
  slot->inode.store(0, std::memory_order_release);
  free_.push_back(static_cast<uint32_t>(slot - slots_));
}

Durable FileTable::Get(const Slot& slot) {
  return slot.versions[slot.valid.load(std::memory_order_acquire)];
}

void FileTable::Set(Slot& slot, const Durable& durable) {
  uint32_t other = 1 - slot.valid.load(std::memory_order_acquire);
  slot.versions[other] = durable;
  slot.valid.store(other, std::memory_order_release);
}

}  // namespace hongyan::fault
