"""Two sellers with believable shop products, and an intermediary, so that a demonstration has something to show."""

from __future__ import annotations

from bol_sandbox.ean import make_ean13
from bol_sandbox.generate import add_offer
from bol_sandbox.model import Intermediary
from bol_sandbox.world import World

# The first twelve digits of each number, title, price, stock, fulfilment method, the seller's own reference.
Listing = tuple[int, str, float, int, str, str]

DEMO_OFFERS: tuple[Listing, ...] = (
    (871_234_500_001, "Veldhof Gietijzeren braadpan 24 cm - rood", 64.95, 14, "FBR", "VH-BP24-R"),
    (871_234_500_002, "Veldhof Koekenpan 28 cm - keramische antiaanbaklaag", 39.99, 32, "FBR", "VH-KP28"),
    (871_234_500_003, "Noordzij Dekbedovertrek 240 x 220 cm - katoen - zand", 54.50, 20, "FBR", "NZ-DB240-Z"),
    (871_234_500_004, "Noordzij Hoeslaken 160 x 200 cm - jersey - wit", 19.95, 60, "FBR", "NZ-HL160-W"),
    (871_234_500_005, "Lumo Ledlamp E27 - warm wit - set van 6", 17.99, 85, "FBR", "LU-E27-6"),
    (871_234_500_006, "Lumo Bureaulamp met draadloze oplader - zwart", 44.95, 9, "FBR", "LU-BL-Z"),
    (871_234_500_007, "Brink Bamboe snijplank met sapgoot - 38 x 28 cm", 22.50, 40, "FBR", "BR-SP38"),
    (871_234_500_008, "Brink Messenblok met 5 messen", 79.00, 6, "FBR", "BR-MB5"),
    (871_234_500_009, "Zuiderwind Fietstas dubbel 46 liter - waterdicht", 49.95, 18, "FBR", "ZW-FT46"),
    (871_234_500_010, "Zuiderwind Fietslampjes USB-oplaadbaar - voor en achter", 15.95, 120, "FBR", "ZW-FL2"),
    (
        871_234_500_011,
        "Havermout Legpuzzel Amsterdamse grachten - 1000 stukjes",
        16.99,
        25,
        "FBR",
        "HM-P1000",
    ),
    (871_234_500_012, "Havermout Kinderrugzak vos - 8 liter", 27.95, 30, "FBB", "HM-RZ-VOS"),
)
SECOND_OFFERS: tuple[Listing, ...] = (
    (871_567_800_001, "Terra Keramische bloempot 21 cm - terracotta", 12.95, 48, "FBR", "TE-BP21"),
    (871_567_800_002, "Terra Plantenspuit glas 500 ml - groen", 9.99, 36, "FBR", "TE-PS500"),
    (871_567_800_003, "Terra Tuinhandschoenen maat M - 2 paar", 8.49, 75, "FBR", "TE-TH-M"),
    (871_567_800_004, "Oever Vogelhuisje koolmees - FSC-hout", 18.95, 22, "FBR", "OE-VH-K"),
    (871_567_800_005, "Oever Vetbollen zonder net - emmer 50 stuks", 14.75, 64, "FBR", "OE-VB50"),
    (871_567_800_006, "Oever Regenton 100 liter - antraciet", 89.95, 5, "FBR", "OE-RT100"),
    (871_567_800_007, "Klaver Hondenmand 90 cm - wasbaar - grijs", 42.50, 12, "FBR", "KL-HM90"),
    (871_567_800_008, "Klaver Kattenkrabpaal 120 cm", 59.95, 8, "FBR", "KL-KP120"),
    (871_567_800_009, "Klaver Hondenriem verstelbaar 2 m - leer", 24.95, 27, "FBR", "KL-HR2"),
    (871_567_800_010, "Bosrand Thermosfles 750 ml - rvs", 21.95, 55, "FBR", "BO-TF750"),
    (871_567_800_011, "Bosrand Hangmat met standaard - 2 personen", 119.00, 4, "FBR", "BO-HS2"),
    (871_567_800_012, "Bosrand Picknickkleed 200 x 200 cm - waterdicht", 26.50, 33, "FBB", "BO-PK200"),
)

INTERMEDIARY = Intermediary("demo-intermediary", "demo-intermediary-secret", "The bol.com connector")


def seed_demo(world: World) -> None:
    """Make two sellers and the intermediary of the README, or what is missing of them."""
    if INTERMEDIARY.client_id not in world.intermediaries:
        world.intermediaries[INTERMEDIARY.client_id] = INTERMEDIARY
    _seed(world, "demo-seller", "demo-secret", "Huis & Haard Webwinkel", DEMO_OFFERS)
    _seed(world, "second-seller", "second-secret", "Groene Vingers Shop", SECOND_OFFERS)


def _seed(world: World, client_id: str, client_secret: str, name: str, listings: tuple[Listing, ...]) -> None:
    seller = world.sellers.get(client_id) or world.add_seller(client_id, client_secret, name)
    for digits, title, price, stock, method, reference in listings:
        ean = make_ean13(digits)
        # What the catalogue knows was on offer once: if it is not any more, somebody took it off.
        if ean not in world.products:
            entry = {"ean": ean, "title": title, "price": price, "stock": stock}
            add_offer(world, seller, entry | {"method": method, "reference": reference})
