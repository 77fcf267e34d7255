"""stub"""
from tilesim.errors import InputError


def fill_name(template, frame, name=""):
    return template.format(frame=frame, name=name)
def check_template(option, template, frames):
    if frames > 1 and fill_name(template, 0) == fill_name(template, 1):
        raise InputError(f"{option} {template} would be one file for {frames} frames; expected a name with {{frame}}, such as out_{{frame:05d}}.bin")
class Batch: pass
class BatchEntry: pass
def read_batch(path): raise InputError("x")
