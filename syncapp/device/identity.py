"""Who this device is, and what happens when somebody else turns out to be it, too."""

from __future__ import annotations

from .ground import Ground
from .store import Meta

FORMER_NODES_MAX = 32  # what a hello may carry


class Identity(Ground):
    def _take_new_identity(self, meta: Meta) -> None:
        """This store is a copy of another device's, or was restored: become a device of its own.

        What is open keeps its stamps, loses its numbers, and gets new ones at sending.
        """
        former = [each for each in meta.former_nodes if each != meta.node]
        needed = self.store.nodes_in_use()
        # A hello carries 32; those that stamps of open entries name must be among them.
        former.sort(key=lambda node: node in needed)
        meta.former_nodes = [*former, meta.node][-FORMER_NODES_MAX:]
        meta.device, meta.node, meta.next_number = self.new_id(), self._new_node(), 1
        self.store.lose_numbers()
        self.store.put_meta(meta)

    def move_household(self) -> bool:
        """The household's UUID is taken by somebody else's: move it, whole, to a fresh one.

        Only while no server has acknowledged it. Returns whether it moved.
        """
        with self.store.transaction():
            meta = self.meta
            if meta.household_name is None:
                return False
            meta.household = self.new_id()
            self.store.put_meta(meta)
            return True
