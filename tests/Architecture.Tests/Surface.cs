// The face of the library as text: every public type of the assemblies that a program sees, and every type of others that their
// members show, each with its public members, a line each, sorted.
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Lamina.Tests.Architecture;

/// <summary>What a program that uses the library sees of it.</summary>
internal sealed class Surface
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private readonly SortedDictionary<string, Type> _types = new(StringComparer.Ordinal);

    /// <param name="assemblies">All public types of these belong to it.</param>
    internal Surface(params Assembly[] assemblies)
    {
        foreach (var type in assemblies.SelectMany(assembly => assembly.GetExportedTypes())) Add(type);
    }

    /// <summary>Its types of the house, with those that others' members show.</summary>
    internal IEnumerable<Type> Types => _types.Values;

    /// <summary>The text.</summary>
    internal string Text => string.Concat(_types.Values.Select(type => $"{Head(type)}\n{string.Concat(Members(type).Order(StringComparer.Ordinal).Select(line => $"    {line}\n"))}"));

    private void Add(Type type)
    {
        type = Bare(type);
        if (type.IsGenericParameter || type.Assembly.GetName().Name?.StartsWith("Lamina.", StringComparison.Ordinal) != true || !_types.TryAdd(type.FullName!, type)) return;
        foreach (var shown in Shown(type)) AddAll(shown);
    }

    private void AddAll(Type type)
    {
        Add(type);
        foreach (var argument in type.GetGenericArguments()) AddAll(argument);
        if (type.HasElementType) AddAll(type.GetElementType()!);
    }

    private static Type Bare(Type type)
    {
        while (type.HasElementType) type = type.GetElementType()!;
        return type.IsGenericType ? type.GetGenericTypeDefinition() : type;
    }

    private static IEnumerable<Type> Shown(Type type)
    {
        if (type.BaseType is { } parent) yield return parent;
        foreach (var one in type.GetInterfaces().Where(one => Bare(one).IsVisible)) yield return one;
        foreach (var nested in type.GetNestedTypes()) yield return nested;
        foreach (var field in type.GetFields(Declared).Where(field => IsSeen(field.IsPublic, field.IsFamily || field.IsFamilyOrAssembly))) yield return field.FieldType;
        foreach (var method in Methods(type))
        {
            foreach (var parameter in method.GetParameters()) yield return parameter.ParameterType;
            if (method is MethodInfo { ReturnType: var result }) yield return result;
        }
    }

    private static IEnumerable<MethodBase> Methods(Type type) =>
        type.GetMethods(Declared).Cast<MethodBase>().Concat(type.GetConstructors(Declared)).Where(method => IsSeen(method.IsPublic, method.IsFamily || method.IsFamilyOrAssembly) && !IsMade(method));

    // What the compiler makes for every record says nothing.
    private static bool IsMade(MemberInfo member) => member.IsDefined(typeof(CompilerGeneratedAttribute)) && member is MethodBase { IsSpecialName: false }
        || member.Name is "<Clone>$" or "PrintMembers" or "get_EqualityContract" or "Deconstruct" or "op_Equality" or "op_Inequality" || member.Name.Contains('<', StringComparison.Ordinal);

    private static bool IsSeen(bool isPublic, bool isProtected) => isPublic || isProtected;

    private static string Head(Type type)
    {
        var kind = type.IsEnum ? "enum" : type.IsInterface ? "interface" : typeof(Delegate).IsAssignableFrom(type) ? "delegate" : type.IsValueType ? "struct" : type.IsAbstract && type.IsSealed ? "static class" : type.IsAbstract ? "abstract class" : "class";
        var parents = type.GetInterfaces().Where(one => one.IsVisible && !one.Name.StartsWith("IEquatable", StringComparison.Ordinal)).Select(Name).Order(StringComparer.Ordinal);
        if (type is { IsEnum: false, IsValueType: false, BaseType: { } parent } && parent != typeof(object)) parents = parents.Prepend(Name(parent)).Order(StringComparer.Ordinal);
        if (type.IsEnum) return $"enum {type.FullName}";
        var list = string.Join(", ", parents);
        return $"{kind} {type.FullName}{(list.Length == 0 ? "" : $" : {list}")}";
    }

    private static IEnumerable<string> Members(Type type)
    {
        if (type.IsEnum)
        {
            foreach (var name in Enum.GetNames(type)) yield return $"{name} = {Convert.ToInt64(Enum.Parse(type, name), null)}";
            yield break;
        }
        foreach (var field in type.GetFields(Declared).Where(field => IsSeen(field.IsPublic, field.IsFamily || field.IsFamilyOrAssembly) && !field.Name.Contains('<', StringComparison.Ordinal)))
            yield return $"{(field.IsLiteral ? "const " : field.IsStatic ? "static " : "")}{Name(field.FieldType)} {field.Name}";
        foreach (var property in type.GetProperties(Declared))
        {
            var accessors = property.GetAccessors(nonPublic: true).Where(one => IsSeen(one.IsPublic, one.IsFamily || one.IsFamilyOrAssembly) && !IsMade(one)).ToArray();
            if (accessors.Length == 0) continue;
            var index = property.GetIndexParameters();
            var isInit = property.SetMethod?.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) == true;
            var sets = property.SetMethod is { } set && accessors.Contains(set) ? isInit ? " init;" : " set;" : "";
            yield return $"{(accessors[0].IsStatic ? "static " : "")}{Name(property.PropertyType)} {(index.Length == 0 ? property.Name : $"this[{Parameters(index)}]")} {{{(accessors.Contains(property.GetMethod) ? " get;" : "")}{sets} }}";
        }
        foreach (var raised in type.GetEvents(Declared).Where(one => one.AddMethod is { } add && IsSeen(add.IsPublic, add.IsFamily))) yield return $"event {Name(raised.EventHandlerType!)} {raised.Name}";
        foreach (var method in Methods(type).Where(method => !method.IsSpecialName || method is ConstructorInfo))
        {
            if (method is ConstructorInfo) yield return $"{type.Name.Split('`')[0]}({Parameters(method.GetParameters())})";
            else if (method.Name is not ("GetHashCode" or "Equals" or "ToString") || !method.IsVirtual) yield return $"{(method.IsStatic ? "static " : "")}{Name(((MethodInfo)method).ReturnType)} {method.Name}{Generic(method)}({Parameters(method.GetParameters())})";
        }
    }

    private static string Generic(MethodBase method) => method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(one => one.Name))}>" : "";

    private static string Parameters(ParameterInfo[] parameters) => string.Join(", ", parameters.Select(one => $"{(one.IsOut ? "out " : one.ParameterType.IsByRef ? one.IsIn ? "in " : "ref " : "")}{Name(one.ParameterType)} {one.Name}{(one.IsOptional ? " = default" : "")}"));

    private static string Name(Type type)
    {
        if (type.IsByRef) return Name(type.GetElementType()!);
        if (type.IsArray) return $"{Name(type.GetElementType()!)}[]";
        if (Nullable.GetUnderlyingType(type) is { } inner) return $"{Name(inner)}?";
        var name = type.DeclaringType is { IsGenericType: false } outer && !type.IsGenericParameter ? $"{Name(outer)}.{type.Name}" : type.Name;
        return type.IsGenericType ? $"{name.Split('`')[0]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>" : name;
    }
}
