"""Two gateways, one of which hears of everything from placement alone: what was acknowledged by the first holds at the second at once."""
import unittest

from clients import Api, patiently, settled, vector_of
from cluster_process import ClusterProcess

TIMES = 20


class Gateways(unittest.TestCase):
    """A call may be refused for the moment (503) and is repeated then; a wrong answer never is."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = ClusterProcess(workers=3, placement=3, gateways=2)
        cls.first, cls.second = (Api([address]) for address in cls.cluster.http)
        cls.first.make("known", 2, 3)  # all workers have told placement that they are there
        cls.first.write("known", "a", 1)

    @classmethod
    def tearDownClass(cls):
        cls.first.close()
        cls.second.close()
        cls.cluster.stop()
        cls.cluster.destroy()

    def create(self, name, point, number):
        """By way of the first gateway, as what follows."""
        status, answer = settled(lambda: self.first.create(name, 2, 3))
        self.assertIn(status, (200, 409), answer)  # 409: tried twice
        self.first.write(name, point, number)

    def drop(self, name):
        status, answer = settled(lambda: self.first.call("DELETE", f"/v1/collections/{name}"))
        self.assertIn(status, (200, 404), answer)  # 404: tried twice

    def search(self, name, number):
        return self.second.search(name, vector_of(number), topK=10, params={"exact": True})

    def assert_holds(self, name, point, number):
        """The second gateway knows the collection, with this one point."""
        self.assertEqual(patiently(lambda: self.second.get(name, point))["point"]["payload"]["number"], number)
        self.assertEqual([hit["id"] for hit in patiently(lambda: self.search(name, number))["results"]], [point])

    def assert_gone(self, name):
        for what, call in (("Get", lambda: self.second.get(name, "a")), ("Search", lambda: self.search(name, 1)),
                           ("Upsert", lambda: self.second.upsert(name, "late", 1))):
            status, answer = settled(call)
            self.assertEqual(status, 404, f"{what} of {name}: {answer}\n{self.cluster.logs()}")

    def test_a_new_collection_is_known_at_once(self):
        # Each begins with another call, as it is the first one that may come too early.
        def listed(name):
            self.assertIn(name, patiently(lambda: self.second.call("GET", "/v1/collections"))["collections"])

        def told(name):
            self.assertEqual(len(self.second.status(name)["shards"]), 2)

        def read(name):
            self.assertEqual(patiently(lambda: self.second.get(name, "a"))["point"]["payload"]["number"], 1)

        def found(name):
            self.assertEqual([hit["id"] for hit in patiently(lambda: self.search(name, 1))["results"]], ["a"])

        asks = [listed, told, read, found]
        for number in range(TIMES):
            name = f"new-{number}"
            self.create(name, "a", 1)
            for ask in asks[number % 4:] + asks[:number % 4]:
                ask(name)
            self.drop(name)

    def test_a_deleted_collection_is_gone_at_once(self):
        for number in range(5):
            name = f"gone-{number}"
            self.create(name, "a", 1)
            self.assert_holds(name, "a", 1)
            self.drop(name)
            self.assert_gone(name)

    def test_a_collection_made_again_is_the_new_one(self):
        for number in range(1, 6):
            self.create("again", f"a{number}", number)
            self.assert_holds("again", f"a{number}", number)
            if number > 1:
                status, answer = settled(lambda point=f"a{number - 1}": self.second.get("again", point))
                self.assertEqual(status, 404, f"a point of the collection before: {answer}")
            self.drop("again")

    def test_without_placement_only_what_is_known_is_answered(self):
        self.assert_holds("known", "a", 1)
        for name in self.cluster.names("placement"):
            self.cluster.kill(name)
        try:
            self.assert_holds("known", "a", 1)
            for call in (lambda: self.second.get("unheard-of", "a"), lambda: self.search("unheard-of", 1),
                         lambda: self.second.call("GET", "/v1/collections/unheard-of/status")):
                status, answer = call()
                self.assertEqual(status, 503, f"it may be there: {answer}")
        finally:
            for name in self.cluster.names("placement"):
                self.cluster.start(name)
        self.assertEqual(settled(lambda: self.second.get("unheard-of", "a"))[0], 404)


if __name__ == "__main__":
    unittest.main()
