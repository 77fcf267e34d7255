"""Geometry files of a plane in two panels of 6 x 14 pixels (slow x fast), for the tests of their readers."""

import h5py


def expt(nested=False):
    panels = [
        {
            "fast_axis": [1, 0, 0],
            "slow_axis": [0, 1, 0],
            "origin": [-3.5, y, 40],
            "pixel_size": [0.5, 0.5],
            "image_size": [14, 6],
        }
        for y in (-3, 0)
    ]
    root = {
        "fast_axis": [1, 0, 0],
        "slow_axis": [0, 1, 0],
        "origin": [0, 0, 0],
        "children": [{"panel": 0}, {"panel": 1}],
    }
    if nested:
        # A group turned by 90 degrees about the light: its own x is the laboratory's y.
        panels = [
            p | {"origin": [y, 3.5, 0], "fast_axis": [0, -1, 0], "slow_axis": [1, 0, 0]}
            for p, y in zip(panels, (-3, 0), strict=True)
        ]
        inner = {"fast_axis": [0, 1, 0], "slow_axis": [-1, 0, 0], "origin": [0, 0, 40], "children": root["children"]}
        root = root | {"children": [inner]}
    return {
        "__id__": "ExperimentList",
        "experiment": [{"beam": 0, "detector": 0, "goniometer": 0}],
        "beam": [{"direction": [0, 0, -1], "wavelength": 1.1, "polarization_normal": [0, 1, 0]}],
        "detector": [{"panels": panels, "hierarchy": root}],
        "goniometer": [{"rotation_axis": [1, 0, 0]}],
        "crystal": [],
    }


def nxmx(path):
    with h5py.File(path, "w") as file:

        def group(name, kind):
            made = file.create_group(name)
            made.attrs["NX_class"] = kind
            return made

        def axis(where, name, value, vector, depends_on, kind="translation", units="mm", **attributes):
            where[name] = value
            where[name].attrs.update(
                units=units, vector=vector, depends_on=depends_on, transformation_type=kind, **attributes
            )

        for name, kind in (("entry", "NXentry"), ("entry/instrument", "NXinstrument"), ("entry/sample", "NXsample")):
            group(name, kind)
        group("entry/sample/transformations", "NXtransformations")
        axis(file["entry/sample/transformations"], "omega", [0.0, 1.0], [-1, 0, 0], ".", "rotation", "deg")
        file["entry/sample/depends_on"] = "/entry/sample/transformations/omega"
        detector = group("entry/instrument/detector", "NXdetector")
        beam = group("entry/instrument/beam", "NXbeam")
        beam["incident_wavelength"] = 1.1
        beam["incident_wavelength"].attrs["units"] = "angstrom"
        t = group("entry/instrument/detector/t", "NXtransformations")
        axis(t, "z", [40.0], [0, 0, 1], ".")
        axis(t, "half_turn", 180.0, [0, 0, 1], "z", "rotation", "deg")
        for number, y in enumerate((-3.0, 0.0)):
            m = group(f"entry/instrument/detector/m_{number}", "NXdetector_module")
            m["data_origin"], m["data_size"] = [6 * number, 0], [6, 14]
            axis(
                m,
                "module_offset",
                0.0,
                [1, 0, 0],
                detector.name + "/t/half_turn",
                offset=[3.5, -y, 0],
                offset_units="mm",
            )
            axis(m, "fast_pixel_direction", 0.5, [-1, 0, 0], f"{m.name}/module_offset")
            axis(m, "slow_pixel_direction", 0.5, [0, -1, 0], f"{m.name}/module_offset")
    return path
