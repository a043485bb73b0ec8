import sys

from vectron import FeedbackItem, Point, VectronClient, field

with VectronClient(sys.argv[1] if len(sys.argv) > 1 else "localhost:8081") as client:
    client.create_collection("fruit-python", dimension=3, distance="cosine")
    client.upsert(
        "fruit-python", [Point("apple", [0.9, 0.1, 0.2], {"price": 1.2}), Point("kiwi", [0.1, 0.9, 0.4], {"price": 0.6})]
    )
    found = client.search("fruit-python", [0.9, 0.2, 0.2], top_k=2, filter=field("price") < 5)
    print(found[0].id, found[0].score, found[0].payload)
    for better in client.search_stream("fruit-python", [0.1, 0.8, 0.4], top_k=1):
        print("final" if better.last else "so far", better.ids)
    client.submit_feedback("fruit-python", [FeedbackItem("apple", relevance_score=5, clicked=True)], query_id=found.query_id)
    client.delete_collection("fruit-python")
