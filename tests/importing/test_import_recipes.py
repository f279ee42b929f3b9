"""Each recipe on a small file of the shape that its download has: a wrong row would be seen."""

# ruff: noqa: E501 (rows as they are in the downloads)
from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from helpers.imports import imported, rows_of, write_files
from recsweep.common.errors import InputError
from recsweep.importing.recipes import files_of, recipe, recipe_names, where

MOVIES_100K = "1|Toy Story (1995)|01-Jan-1995||http://x|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
LATIN = "2|Misérables, Les (1995)|01-Jan-1995||http://x|0|0|0|0|0|0|0|0|1|0|0|0|0|0|0|0|0|0|0\n"
# Files, then the interactions that they hold: user, item, rating or None, seconds or None.
SHAPES: dict[str, tuple[dict[str, str | bytes], list[list[str]]]] = {
    "ml-100k": (
        {
            "u.data": "196\t1\t3\t881250949\n186\t2\t4\t891717742\n",
            "u.user": "196|49|M|writer|55105\n186|39|F|executive|00000\n",
            "u.item": (MOVIES_100K + LATIN).encode("latin-1"),
        },
        [["196", "1", "3", "881250949"], ["186", "2", "4", "891717742"]],
    ),
    "ml-1m": (
        {
            "ratings.dat": "1::1193::5::978300760\n2::661::3::978302109\n",
            "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
            "movies.dat": (
                "661::James and the Giant Peach (1996)::Animation|Children's\n"
                "1193::Misérables: Les (1995)::Drama\n"
            ).encode("latin-1"),
        },
        [["1", "1193", "5", "978300760"], ["2", "661", "3", "978302109"]],
    ),
    "ml-20m": (
        {
            "ratings.csv": "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n2,11,4.0,1112484676\n",
            "movies.csv": 'movieId,title,genres\n2,"American ""President"", The",Comedy|Drama\n11,Jumanji,Adventure\n',
        },
        [["1", "2", "3.5", "1112486027"], ["2", "11", "4.0", "1112484676"]],
    ),
    "amazon-2018": (
        {
            "All_Beauty.csv": "0143026860,A1V6B6TNIC10QE,1.0,1424304000\n0143026860,A2F5GHSXFQ0W6J,4.0,1418860800\n"
        },
        [
            ["A1V6B6TNIC10QE", "0143026860", "1.0", "1424304000"],
            ["A2F5GHSXFQ0W6J", "0143026860", "4.0", "1418860800"],
        ],
    ),
    "amazon-2018-reviews": (
        {
            "All_Beauty_5.json.gz": gzip.compress(
                b'{"overall": 5.0, "verified": true, "reviewTime": "09 1, 2016", "reviewerID": "A3CI", "asin": '
                b'"B00006L9LC", "style": {"Size:": " 1"}, "reviewText": "good, \\"fine\\"", "unixReviewTime": 1472688000}\n'
                b'{"image": ["http://x"], "overall": 4.0, "reviewerID": "A3H7", "asin": "B00006L9LC", '
                b'"unixReviewTime": 1479081600}\n'
            )
        },
        [["A3CI", "B00006L9LC", "5", "1472688000"], ["A3H7", "B00006L9LC", "4", "1479081600"]],
    ),
    "amazon-2023": (
        {
            "All_Beauty.csv.gz": gzip.compress(
                b"user_id,parent_asin,rating,timestamp\nAGKH,B00YQ6X8EO,5.0,1588687728923\nAGKH,B081TJ8YS3,4.0,1588615855000\n"
            )
        },
        [["AGKH", "B00YQ6X8EO", "5.0", "1588687728.923"], ["AGKH", "B081TJ8YS3", "4.0", "1588615855.000"]],
    ),
    "amazon-2023-reviews": (
        {
            "All_Beauty.jsonl": '{"rating": 5.0, "title": "Such", "images": [], "asin": "B1", "parent_asin": "B00YQ6X8EO", '
            '"user_id": "AGKH", "timestamp": 1588687728923, "helpful_vote": 0, "verified_purchase": true}\n'
        },
        [["AGKH", "B00YQ6X8EO", "5", "1588687728.923"]],
    ),
    "yelp": (
        {
            "yelp_academic_dataset_review.json": '{"review_id":"KU","user_id":"mh_-","business_id":"XQfw","stars":3.0,'
            '"useful":0,"text":"If you decide\\nto eat","date":"2018-07-07 22:09:11"}\n',
            "yelp_academic_dataset_business.json": '{"business_id":"XQfw","name":"Turning, Point","city":"North Wales",'
            '"state":"PA","stars":3.0,"attributes":{"WiFi":"u\'free\'"},"hours":null}\n',
        },
        [["mh_-", "XQfw", "3", "1531001351"]],
    ),
    "gowalla": (
        {
            "loc-gowalla_totalCheckins.txt.gz": gzip.compress(
                b"0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847\n"
                b"0\t2010-10-18T22:17:43Z\t30.2691029532\t-97.7493953705\t420315\n"
            )
        },
        [["0", "22847", "1287532527"], ["0", "420315", "1287440263"]],
    ),
    "steam": (
        {
            "steam_reviews.json.gz": gzip.compress(
                "{u'username': u'Chaos Syren', u'hours': 0.1, u'products': 41, u'product_id': u'725280', u'date': "
                "u'2017-12-17', u'text': u\"don't 买\", u'early_access': False}\n".encode()
                + b"{u'username': u'Ariman1', u'product_id': u'328100', u'date': u'2018-01-05', u'found_funny': 2}\n"
            )
        },
        [["Chaos Syren", "725280", "1513468800"], ["Ariman1", "328100", "1515110400"]],
    ),
    "lastfm": (
        {
            "user_artists.dat": "userID\tartistID\tweight\n2\t51\t13883\n3\t52\t11690\n",
            "artists.dat": 'id\tname\turl\tpictureURL\n51\tDuran "D" Duran\thttp://x\thttp://y\n52\tMorcheeba\thttp://x\thttp://y\n',
        },
        [["2", "51", "13883"], ["3", "52", "11690"]],
    ),
    "foursquare": (
        {
            "dataset_TSMC2014_NYC.txt": "470\t49bbd6c0\t4bf58dd8\tArts & Crafts Store\t40.7\t-74.0\t-240\t"
            "Tue Apr 03 18:00:09 +0000 2012\n979\t4a43c0ae\t4bf58dd8\tCafé\t40.6\t-74.0\t-240\t"
            "Tue Apr 03 18:00:25 +0000 2012\n".encode("latin-1")
        },
        [
            ["470", "49bbd6c0", "1333476009", "Arts & Crafts Store"],
            ["979", "4a43c0ae", "1333476025", "Café"],
        ],
    ),
    "diginetica": (
        {
            "train-item-views.csv": "sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n"
            "1;NA;31331;1031018;2016-05-09\n",
            "product-categories.csv": "itemId;categoryId\n81766;1096\n31331;1018\n",
        },
        [["1", "81766", "1462752526.309"], ["1", "31331", "1462753031.018"]],
    ),
    "retailrocket": (
        {
            "events.csv": "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"
            "1433224214164,992329,addtocart,248676,\n1433221999827,111016,view,318965,\n"
            "1433222276276,599528,transaction,356475,4000\n"
        },
        [["257597", "355908", "1433221332.117"], ["111016", "318965", "1433221999.827"]],
    ),
    "netflix": (
        {
            "combined_data_1.txt": "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n885013,4,2005-10-19\n",
            "combined_data_2.txt": "3:\n1488844,2,2004-02-01",
        },
        [
            ["1488844", "1", "3", "1125964800"],
            ["822109", "1", "5", "1115942400"],
            ["885013", "2", "4", "1129680000"],
            ["1488844", "3", "2", "1075593600"],
        ],
    ),
}


def test_every_recipe_has_its_shape_here():
    assert set(SHAPES) == set(recipe_names())
    wanted = "ml-100k ml-1m ml-20m amazon-2018 amazon-2023 yelp gowalla steam lastfm foursquare diginetica"
    assert {*wanted.split(), "retailrocket", "netflix"} <= set(SHAPES)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SHAPES)
def test_a_recipe_makes_a_data_set_of_its_files(name, tmp_path):
    files, rows = SHAPES[name]
    done = imported(tmp_path, *write_files(tmp_path, files), recipe=name)
    header, *found = rows_of(done)
    assert header[:2] == ["user_id:token", "item_id:token"]
    assert found == rows
    assert recipe(name).url in done.request.dataset_file.read_text()
    for suffix, holds in (("item", "items"), ("user", "users")):
        assert (suffix in done.read) == (holds in recipe(name).files)


def test_a_folder_is_searched_for_the_files_of_a_recipe(tmp_path):
    write_files(tmp_path, {**SHAPES["ml-1m"][0], "README": "words"})
    found = files_of("ml-1m", [tmp_path])
    assert {kind: paths[0].name for kind, paths in found.items()} == {
        "interactions": "ratings.dat",
        "users": "users.dat",
        "items": "movies.dat",
    }
    assert rows_of(imported(tmp_path, tmp_path, recipe="ml-1m"), "item")[0] == [
        "item_id:token",
        "title:token",
        "genres:token_seq",
    ]


def test_a_recipe_says_what_to_download_and_its_checksum():
    for name in recipe_names():
        assert re.search(r"https://\S+ \((MD5 of \S+ [0-9a-f]{32}|checksum unknown)\)$", where(name)), name
    with pytest.raises(
        InputError, match=r"no file of MovieLens 1M is named; download ml-1m.zip from GroupLens"
    ):
        imported(Path(), recipe="ml-1m")


def test_a_file_of_no_recipe_is_refused(tmp_path):
    (path,) = write_files(tmp_path, {"ratings.txt": "x"})
    with pytest.raises(
        InputError, match=r"is none of the files of the recipe ml-1m; name ratings.dat or users.dat"
    ):
        imported(tmp_path, path, recipe="ml-1m")
    with pytest.raises(InputError, match=r"no file of interactions is among .*; name ratings.dat"):
        imported(tmp_path, *write_files(tmp_path, {"movies.dat": "1::a::b\n"}), recipe="ml-1m")
