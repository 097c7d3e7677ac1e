"""What a Java change may not newly reach for."""

from __future__ import annotations

from collections.abc import Iterator

from .guard import AT_LOAD, ENDS, ENVIRONMENT, FILES, INSPECTS, LOADS, NETWORK, REPLACES, STARTS, Rules, table
from .tree import Node, Tree

_MODULES = {
    **table(
        FILES,
        "java.nio.file java.nio.channels java.util.zip java.util.jar java.util.logging.FileHandler java.io.File "
        "java.io.FileWriter java.io.FileOutputStream java.io.RandomAccessFile java.io.FileReader "
        "java.io.FileInputStream java.io.ObjectInputStream",
    ),
    **table(LOADS, "java.lang.reflect java.lang.invoke javax.tools javax.script java.net.URLClassLoader"),
    **table(
        INSPECTS,
        "sun.misc jdk.internal com.sun sun.reflect java.lang.instrument java.lang.management "
        "java.lang.StackWalker javax.management java.security.AccessController org.junit junit org.testng "
        "org.hamcrest org.mockito org.assertj org.opentest4j",
    ),
    **table(NETWORK, "java.net java.net.http java.rmi"),
}
_NAMES = {
    **table(STARTS, "Runtime ProcessBuilder ProcessHandle ThreadGroup Process"),
    **table(INSPECTS, "Unsafe StackWalker MethodHandles Instrumentation SecurityManager"),
    **table(LOADS, "ClassLoader URLClassLoader ScriptEngineManager ServiceLoader Proxy"),
    **table(
        FILES,
        "FileWriter FileOutputStream RandomAccessFile Files FileReader FileInputStream File FileChannel "
        "PrintWriter FileSystems ObjectInputStream",
    ),
    **table(ENDS, "ThreadDeath VirtualMachineError"),
}
_MEMBERS = {
    **table(
        INSPECTS,
        "setAccessible trySetAccessible getDeclaredField getDeclaredFields getDeclaredMethod getDeclaredMethods "
        "getDeclaredConstructor getDeclaredConstructors getMethods invokeExact getStackTrace getAllStackTraces "
        "dumpStack getThreadGroup getCallerClass",
    ),
    **table(LOADS, "forName loadClass defineClass getClassLoader getContextClassLoader"),
    **table(ENDS, "addShutdownHook halt removeShutdownHook runFinalization"),
    **table(FILES, "getResource getResourceAsStream"),
    **table(REPLACES, "setUncaughtExceptionHandler setDefaultUncaughtExceptionHandler setStackTrace"),
}
_DOTTED = {
    **table(ENDS, "System.exit"),
    **table(
        ENVIRONMENT,
        "System.getenv System.setProperty System.getProperty System.getProperties System.setProperties "
        "System.clearProperty Locale.setDefault TimeZone.setDefault",
    ),
    **table(REPLACES, "System.setOut System.setErr System.setIn System.setSecurityManager"),
    **table(LOADS, "System.load System.loadLibrary"),
    **table(FILES, "System.console System.in"),
    **table(INSPECTS, "Thread.getAllStackTraces"),
}
_PACKAGES = (
    "java.io.",
    "java.nio.file",
    "java.lang.reflect",
    "java.lang.Runtime",
    "java.lang.System",
    "java.lang.Process",
)
_STANDARD = (
    "java.",
    "javax.",
    "org.junit",
    "junit.",
    "org.hamcrest",
    "org.opentest4j",
    "org.mockito",
    "org.apiguardian",
)


def imported(tree: Tree, node: Node) -> Iterator[str]:
    """Classes and packages that an import names."""
    if node.kind == "import_declaration":
        name = node.of_kind("scoped_identifier", "identifier")
        if name is not None:
            yield tree.of(name)
    elif node.kind in ("scoped_type_identifier", "field_access") and node.end - node.start < 80:
        yield "".join(tree.of(node).split())


def also(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    """Types by their names, `static` imports, native methods, classes in packages of the runner, blocks run at load."""
    if node.kind == "type_identifier" and tree.of(node) in _NAMES:
        yield tree.of(node), _NAMES[tree.of(node)]
    elif node.kind == "package_declaration" and node.inner:
        package = tree.of(node.inner[-1])
        if f"{package}.".startswith(_STANDARD):
            yield f"package {package}", REPLACES
    elif node.kind == "native":
        yield "native", LOADS
    elif node.kind == "import_declaration" and any(child.kind == "static" for child in node.children):
        text = "".join(tree.of(node).split())
        if "System.exit" in text or "java.lang.System" in text or "java.lang.Runtime" in text:
            yield "a static import of System", ENDS
    elif node.kind == "method_declaration":
        name = node.get("name")
        if name is not None and tree.of(name) in ("finalize",):
            yield "finalize", AT_LOAD
    elif node.kind == "class_declaration":
        name = node.get("name")
        if name is not None and tree.of(name) in ("Assert", "Assertions", "System", "Assumptions"):
            yield f"a class {tree.of(name)}", REPLACES
    elif node.kind == "method_reference":
        text = "".join(tree.of(node).split())
        if text.startswith(("System::", "Runtime::")):
            yield text, ENDS


RULES = Rules(_MODULES, _NAMES, _MEMBERS, _DOTTED, imported=imported, also=also)
